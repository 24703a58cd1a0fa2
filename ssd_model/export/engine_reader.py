"""Evaluate a network that another engine runs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from paddle.static import Program

from ssd_model.data.readers import Reader, feeds
from ssd_model.engines import load
from ssd_model.export.onnx_model import suppression_inputs


def engine_reader(path: Path, reader: Reader, program: Program) -> Iterator[dict]:
    """Yield batches for `evaluate` in which an engine has computed the boxes and scores.

    Args:
        path: a model that goes to boxes and scores, see `ssd_model.engines.load`.
        reader: yields batches by Variable name.
        program: the eval Program, of which only the part behind boxes and scores is run.
    """
    engine, names = load(path), suppression_inputs(program)
    for feed in feeds(reader):
        truth = {name: value for name, value in feed.items() if name != "image"}
        yield {**dict(zip(names, engine(np.array(feed["image"])), strict=True)), **truth}
