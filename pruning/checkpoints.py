"""Checkpoints of a run: one file each, written whole or not at all, with a checksum.

A folder of checkpoints belongs to one run at a time: whoever calls these functions holds its
`ssd_model.lock.lock`.
"""

import json
import re
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle.static import Scope

from ssd_model.scope import kept_variables, read_tensor
from ssd_model.weights import WeightsError, read_tensors, write_tensors

KEEP = ("last", "best", "all")
"""Which checkpoints a run may keep."""
LAST = 2
"""So many are always kept: one may be damaged."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written, or that belongs to another run."""


@dataclass
class RunState:
    """Where a run stands, besides its tensors."""

    fingerprint: dict[str, Any]
    """What must be equal for a checkpoint to be this run's."""
    epoch: int = 0
    """Epochs trained."""
    ratios: list[dict[str, float]] = field(default_factory=list)
    """Share of output channels cut, by filter; one entry for each pruning."""
    steps: dict[str, int] = field(default_factory=dict)
    """Times that each strategy has pruned, by its name."""
    history: list[dict[str, Any]] = field(default_factory=list)
    lr_scheduler: dict[str, Any] | None = None
    workers: int = 1
    """That have trained it."""
    finished: bool = False


def check_room(folder: Path, program: paddle.static.Program, keep: str) -> None:
    """See before a long run that its disk can take the checkpoints of a train Program.

    Args:
        keep: one of `KEEP`.

    Raises:
        CheckpointError: it can't.
    """
    one = 4 * sum(abs(prod(v.shape)) for v in program.list_vars() if v.persistable)
    at_once = LAST + 1 + (keep == "best")  # one is written before another goes
    needed = one * (at_once - len(_checkpoints(folder)))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CheckpointError(
            f"the checkpoints in {folder} need {needed / 1e6:.0f} MB, but its disk has only "
            f"{free / 1e6:.0f} MB left: free some space, or choose another checkpoint_path"
        )


def save(
    folder: Path,
    state: RunState,
    programs: Sequence[paddle.static.Program],
    scope: Scope,
    keep: str = "last",
    metric: str = "",
    best_from: int = 1,
) -> None:
    """Write parameters, optimizer state and `state`, and drop the checkpoints not wanted.

    Args:
        keep: one of `KEEP`.
        metric: the label by which the best one is chosen.
        best_from: see `best_epoch`.

    Raises:
        CheckpointError: it cannot be written; the earlier ones are still there.
    """
    for partial in folder.glob(".epoch-*"):  # of a process that was killed as it wrote
        partial.unlink()
    names = sorted(var.name for var in kept_variables(scope, programs))
    arrays = {name: read_tensor(scope, name) for name in names}
    path = _path(folder, state.epoch)
    try:
        write_tensors(path, arrays, {"state": json.dumps(asdict(state))})
    except OSError as error:
        kept = [path.name for path in _checkpoints(folder)]
        before = f"{kept[-1]} is whole" if kept else "there is none before it"
        raise CheckpointError(
            f"the checkpoint of epoch {state.epoch} cannot be written: {error}; {before}. "
            "Once this is fixed, run again to resume from the last one"
        ) from error
    if keep != "all":
        best = best_epoch(state, metric, best_from) if keep == "best" else None
        for old in _checkpoints(folder)[:-LAST]:
            if old != _path(folder, best):
                old.unlink()


def best_epoch(state: RunState, metric: str, best_from: int = 1) -> int | None:
    """The epoch after which a metric was highest, the first of equal ones; None without any.

    What was measured before the last cut was another network, and does not count.

    Args:
        best_from: the first epoch that counts.
    """
    stages = [row["stage"] for row in state.history]
    cut = len(stages) - stages[::-1].index("pruned") if "pruned" in stages else 0
    trained = [row for row in state.history[cut:] if row["stage"] == "finetuned"]
    rows = [row for row in trained if row["epoch"] >= best_from]
    return max(rows, key=lambda row: row[metric])["epoch"] if rows else None


def read_best(folder: Path, metric: str, best_from: int = 1) -> tuple[dict[str, np.ndarray], int]:
    """The tensors of a finished run's best checkpoint, and its epoch; the run kept it.

    Raises:
        CheckpointError: there is none.
        WeightsError: it is damaged.
    """
    for path in reversed(_checkpoints(folder)):
        _, metadata = read_tensors(path)
        epoch = best_epoch(RunState(**json.loads(metadata["state"])), metric, best_from)
        if epoch is not None and _path(folder, epoch).exists():
            return read_tensors(_path(folder, epoch))[0], epoch
    raise CheckpointError(
        f"{folder} has no checkpoint of a best epoch: remove it, and run again with keep: best"
    )


def find(
    folder: Path, fingerprint: dict[str, Any]
) -> tuple[RunState, dict[str, np.ndarray], Path] | None:
    """This run's last checkpoint that is whole: its state, tensors and file; None without one.

    Damaged ones are passed over with a warning. Checkpoints of another run that has ended do not
    count.

    Raises:
        CheckpointError: the checkpoint is of another run that has not ended.
    """
    for path in reversed(_checkpoints(folder)):
        try:
            arrays, metadata = read_tensors(path)
            state = RunState(**json.loads(metadata["state"]))
        except (WeightsError, KeyError, TypeError, ValueError) as error:
            warnings.warn(f"skipping a checkpoint: {path}: {error}", stacklevel=2)
            continue
        if state.fingerprint == fingerprint:
            return state, arrays, path
        if state.finished:
            return None
        changed = [
            f"{key} was {state.fingerprint.get(key)!r}, is {value!r}"
            for key, value in fingerprint.items()
            if state.fingerprint.get(key) != value
        ]
        raise CheckpointError(
            f"{path} belongs to another unfinished run: {'; '.join(changed)}. "
            "Remove that folder, or choose another checkpoint_path"
        )
    return None


def _path(folder: Path, epoch: int | None) -> Path:
    return folder / f"epoch-{epoch or 0:04d}.safetensors"


def clear(folder: Path) -> None:
    """Remove the checkpoints of a folder, and nothing else."""
    for path in _checkpoints(folder):
        path.unlink()


def _checkpoints(folder: Path) -> list[Path]:
    """The last one last."""
    named = {p: re.fullmatch(r"epoch-(\d+)\.safetensors", p.name) for p in Path(folder).iterdir()}
    return sorted((p for p in named if named[p]), key=lambda p: int(named[p][1]))
