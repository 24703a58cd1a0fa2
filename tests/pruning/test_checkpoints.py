"""Checkpoints of one folder: damage is noticed, the right ones stay, and the disk has room."""

import json
import math
import shutil
import warnings
from pathlib import Path

import numpy as np
import paddle
import pytest

from pruning import checkpoints
from pruning.checkpoints import CheckpointError, RunState
from ssd_model.weights import write_tensors
from tests.helpers.damage import damage
from tests.helpers.small_run import Setup


def small_checkpoints(folder: Path, epochs=(1, 2)) -> dict:
    """Checkpoints of one tensor; returns their fingerprint."""
    for epoch in epochs:
        state = RunState({"epoch": 3}, epoch, [], {}, [], lr_scheduler=None, finished=False)
        metadata = {"state": json.dumps(vars(state))}
        array = np.full(1000, epoch, "float32")
        write_tensors(folder / f"epoch-{epoch:04d}.safetensors", {"weight": array}, metadata)
    return {"epoch": 3}


@pytest.mark.parametrize("how", ["a bit", "a state", "short", "empty", "text"])
def test_damaged_checkpoints_are_passed_over(tmp_path, how):
    fingerprint = small_checkpoints(tmp_path)
    assert checkpoints.find(tmp_path, fingerprint)[0].epoch == 2
    damage(tmp_path / "epoch-0002.safetensors", how)
    with pytest.warns(UserWarning, match=r"skipping a checkpoint: .*epoch-0002\.safetensors"):
        state, arrays, path = checkpoints.find(tmp_path, fingerprint)
    assert (state.epoch, arrays["weight"][0], path.name) == (1, 1, "epoch-0001.safetensors")
    damage(tmp_path / "epoch-0001.safetensors", how.replace("a state", "a bit"))
    with pytest.warns(UserWarning, match="skipping a checkpoint"):
        assert checkpoints.find(tmp_path, fingerprint) is None


def test_the_last_checkpoint_is_that_of_the_last_epoch(tmp_path):
    fingerprint = small_checkpoints(tmp_path, epochs=(9_999, 10_000))
    assert checkpoints.find(tmp_path, fingerprint)[0].epoch == 10_000


def test_every_flipped_bit_is_noticed_or_harmless(tmp_path):
    fingerprint = small_checkpoints(tmp_path, epochs=(1,))
    path = tmp_path / "epoch-0001.safetensors"
    content = path.read_bytes()
    state, arrays, _ = checkpoints.find(tmp_path, fingerprint)
    noticed = 0
    for position in np.random.default_rng(0).integers(0, len(content), 300):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = checkpoints.find(tmp_path, fingerprint)
        if found is None:
            noticed += 1
        else:  # in the padding, or in the name of the checksum itself
            assert found[0] == state
            np.testing.assert_array_equal(found[1]["weight"], arrays["weight"])
    assert noticed > 290


def test_the_best_checkpoint_needs_room_besides_the_last(tmp_path, monkeypatch):
    program = Setup().train.program
    one = 4 * sum(abs(math.prod(v.shape)) for v in program.list_vars() if v.persistable)
    usage = shutil.disk_usage(tmp_path)._replace(free=3 * one)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    checkpoints.check_room(tmp_path, program, "last")
    with pytest.raises(CheckpointError, match="free some space"):
        checkpoints.check_room(tmp_path, program, "best")


def rows(*values: float) -> list[dict]:
    return [
        {"epoch": i, "map": value, "stage": "finetuned" if i else "baseline"}
        for i, value in enumerate(values)
    ]


def kept(folder: Path, keep: str, best_from: int = 1) -> list[int]:
    """Epochs left of a run whose metric was highest after its second epoch of five."""
    folder.mkdir()
    scope, program = paddle.static.Scope(), paddle.static.Program()
    for epoch in range(1, 6):
        history = rows(0.9, 0.1, 0.8, 0.3, 0.7, 0.4)[: epoch + 1]  # the first is the baseline's
        state = RunState({}, epoch, history=history)
        checkpoints.save(folder, state, [program], scope, keep, "map", best_from)
    return sorted(int(path.stem[6:]) for path in folder.glob("epoch-*"))


def test_which_checkpoints_stay(tmp_path):
    assert kept(tmp_path / "last", "last") == [4, 5]
    assert kept(tmp_path / "best", "best") == [2, 4, 5]
    assert kept(tmp_path / "all", "all") == [1, 2, 3, 4, 5]
    assert checkpoints.read_best(tmp_path / "best", "map")[1] == 2
    assert kept(tmp_path / "late", "best", best_from=3) == [4, 5]
    assert checkpoints.read_best(tmp_path / "late", "map", 3)[1] == 4
    assert kept(tmp_path / "not yet", "best", best_from=6) == [4, 5]
    with pytest.raises(CheckpointError, match="no checkpoint of a best epoch"):
        checkpoints.read_best(tmp_path / "last", "map")


def test_a_network_from_before_the_last_cut_is_not_the_best():
    stages = ["baseline", "finetuned", "pruned", "reconstructed", "finetuned", "finetuned"]
    measured = zip(stages, (0, 1, 1, 1, 2, 3), (0.8, 0.9, 0.1, 0.7, 0.6, 0.5), strict=True)
    history = [{"stage": stage, "epoch": epoch, "map": value} for stage, epoch, value in measured]
    best = [checkpoints.best_epoch(RunState({}, history=history[:n]), "map") for n in range(1, 7)]
    assert best == [None, 1, None, None, 2, 2]
