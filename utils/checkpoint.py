"""Checkpoints of a run: one file each, written whole or not at all."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import paddle

from ssd_model.weights import read_tensor, read_tensors, write_tensor, write_tensors

KEEP = 2


class CheckpointError(ValueError):
    """A checkpoint that belongs to another run."""


@dataclass
class RunState:
    """Where a run stands, besides its tensors."""

    fingerprint: dict[str, Any]
    """What must be equal for a checkpoint to be this run's."""
    epoch: int
    """Epochs trained."""
    cuts: list[dict[str, float]]
    """Share of channels cut by filter, one entry for each time that the network was pruned."""
    steps: dict[str, int]
    """Times that each strategy has pruned, by its name."""
    history: list[dict[str, Any]]
    lr_scheduler: dict[str, Any] | None
    finished: bool


def save(folder: Path, state: RunState, programs: Sequence[paddle.static.Program], scope) -> None:
    """Write parameters, optimizer state and `state`; drop all but the last `KEEP` checkpoints."""
    names = {v.name for program in programs for v in program.list_vars() if v.persistable}
    arrays = {
        name: read_tensor(scope, name)
        for name in sorted(names)
        if scope.find_var(name) is not None and scope.find_var(name).get_tensor()._is_initialized()
    }
    path = folder / f"epoch-{state.epoch:04d}.safetensors"
    write_tensors(path, arrays, {"state": json.dumps(asdict(state))})
    for old in _checkpoints(folder)[:-KEEP]:
        old.unlink()


def load_state(folder: Path, fingerprint: dict[str, Any]) -> tuple[RunState, Path] | None:
    """State and file of this run's last checkpoint; None where there is none.

    Checkpoints of another run that has ended do not count.

    Raises:
        CheckpointError: the checkpoint is of another run that has not ended.
    """
    paths = _checkpoints(folder)
    if not paths:
        return None
    _, metadata = read_tensors(paths[-1])
    state = RunState(**json.loads(metadata["state"]))
    if state.fingerprint != fingerprint:
        if state.finished:
            return None
        changed = [
            f"{key} was {state.fingerprint.get(key)!r}, is {value!r}"
            for key, value in fingerprint.items()
            if state.fingerprint.get(key) != value
        ]
        raise CheckpointError(
            f"{paths[-1]} is of another unfinished run: {'; '.join(changed)}. "
            "Remove that folder, or choose another checkpoint_path"
        )
    return state, paths[-1]


def load_tensors(path: Path, scope) -> None:
    """Fill a scope with a checkpoint's tensors."""
    for name, array in read_tensors(path)[0].items():
        write_tensor(scope, name, array)


def clear(folder: Path) -> None:
    """Remove the checkpoints of a folder, and nothing else."""
    for path in _checkpoints(folder):
        path.unlink()


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(
        p for p in Path(folder).glob("epoch-*") if re.fullmatch(r"epoch-\d+\.safetensors", p.name)
    )
