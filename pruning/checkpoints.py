"""Checkpoints of a run: one file each, written whole or not at all, with a checksum.

A folder of checkpoints belongs to one run at a time: whoever calls these functions holds its
`pruning.lock.lock`.
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

from ssd_model.scope import read_tensor
from ssd_model.weights import WeightsError, read_tensors, write_tensors

KEEP = 2


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
    finished: bool = False


def check_room(folder: Path, program: paddle.static.Program) -> None:
    """See before a long run that its disk can take the checkpoints of a train Program.

    Raises:
        CheckpointError: it can't.
    """
    one = 4 * sum(abs(prod(v.shape)) for v in program.list_vars() if v.persistable)
    needed = one * (KEEP + 1 - len(_checkpoints(folder)))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CheckpointError(
            f"the checkpoints in {folder} need {needed / 1e6:.0f} MB, but its disk has only "
            f"{free / 1e6:.0f} MB left: make room, or choose another checkpoint_path"
        )


def save(
    folder: Path, state: RunState, programs: Sequence[paddle.static.Program], scope: Scope
) -> None:
    """Write parameters, optimizer state and `state`; drop all but the last `KEEP` checkpoints.

    Raises:
        CheckpointError: it cannot be written; the earlier ones are still there.
    """
    for partial in folder.glob(".epoch-*"):  # of a process that was killed as it wrote
        partial.unlink()
    names = {v.name for program in programs for v in program.list_vars() if v.persistable}
    arrays = {
        name: read_tensor(scope, name)
        for name in sorted(names)
        if scope.find_var(name) is not None and scope.find_var(name).get_tensor()._is_initialized()
    }
    path = folder / f"epoch-{state.epoch:04d}.safetensors"
    try:
        write_tensors(path, arrays, {"state": json.dumps(asdict(state))})
    except OSError as error:
        kept = [path.name for path in _checkpoints(folder)]
        before = f"{kept[-1]} is whole" if kept else "there is none before it"
        raise CheckpointError(
            f"the checkpoint of epoch {state.epoch} cannot be written: {error}; {before}. "
            "When this is mended, run again to resume from the last one"
        ) from error
    for old in _checkpoints(folder)[:-KEEP]:
        old.unlink()


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
            warnings.warn(f"a checkpoint is passed over: {path}: {error}", stacklevel=2)
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
            f"{path} is of another unfinished run: {'; '.join(changed)}. "
            "Remove that folder, or choose another checkpoint_path"
        )
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a folder, and nothing else."""
    for path in _checkpoints(folder):
        path.unlink()


def _checkpoints(folder: Path) -> list[Path]:
    """The last one last."""
    named = {p: re.fullmatch(r"epoch-(\d+)\.safetensors", p.name) for p in Path(folder).iterdir()}
    return sorted((p for p in named if named[p]), key=lambda p: int(named[p][1]))
