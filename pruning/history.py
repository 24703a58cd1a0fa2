"""The measurements of a Compressor run."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

STAGES = ("baseline", "pruned", "reconstructed", "finetuned")
"""The stages at which a network is evaluated; once trained, it is 'finetuned'."""


@dataclass(frozen=True)
class History:
    """The measurements of a run, and what it cut."""

    rows: list[dict[str, Any]]
    """One row for each evaluation: its stage (one of `STAGES`), epochs trained, seconds since the
    start, and by label the train losses (means over the epoch) and the eval metrics."""
    ratios: list[dict[str, float]]
    """Share of output channels cut, by filter; one entry for each pruning."""
    flops_before: int
    flops_after: int
    """Multiply-adds of the convolutions for one image."""
    parameters_before: int
    parameters_after: int

    def value(self, label: str, stage: str) -> Any:
        """The value of a metric at the last evaluation of a stage; None if it was not measured."""
        return next((row.get(label) for row in reversed(self.rows) if row["stage"] == stage), None)

    def frame(self) -> pd.DataFrame:
        """The rows as a table, without the metrics that are lists, with a value for each class."""
        rows = [{k: v for k, v in row.items() if not isinstance(v, list)} for row in self.rows]
        return pd.DataFrame(rows)
