"""What a run of the Compressor measured."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

STAGES = ("baseline", "pruned", "reconstructed", "finetuned")
"""What a network has been through when it is evaluated; training makes it 'finetuned'."""


@dataclass(frozen=True)
class History:
    """What a run measured."""

    rows: list[dict[str, Any]]
    """One for each evaluation: its stage, one of `STAGES`, epochs trained, seconds since the
    start, train losses (means over the epoch) and eval metrics, by their labels."""
    ratios: list[dict[str, float]]
    """Share of output channels cut, by filter; one entry for each pruning."""
    flops_before: int
    flops_after: int
    """Multiply-adds of the convolutions for one image."""
    parameters_before: int
    parameters_after: int

    def value(self, label: str, stage: str) -> Any:
        """A metric at the last evaluation of a stage; None if it was not measured then."""
        return next((row.get(label) for row in reversed(self.rows) if row["stage"] == stage), None)

    def frame(self) -> pd.DataFrame:
        """The rows as a table, without what is given by class."""
        rows = [{k: v for k, v in row.items() if not isinstance(v, list)} for row in self.rows]
        return pd.DataFrame(rows)
