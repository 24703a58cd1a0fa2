"""What a run outlives: kills, a damaged checkpoint, a full disk; and what it does not begin."""

import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pruning.checkpoints import CheckpointError
from pruning.config import write_config
from ssd_model.lock import LockError, lock
from ssd_model.weights import read_tensors
from tests.helpers.damage import damage
from tests.helpers.small_run import BATCHES, Interrupted, Setup, weights
from utils.paths import ROOT

KILLS = 20


def test_a_run_killed_at_twenty_random_moments_ends_as_one_left_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.killed_run", tmp_path, str(KILLS), "0"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])  # after what is told of the data
    assert len(told["epochs_at_kill"]) == KILLS
    # Not all before the first checkpoint, where nothing has to survive
    assert len(set(told["epochs_at_kill"])) >= 3, told["epochs_at_kill"]
    assert [row["stage"] for row in told["expected"]["rows"]].count("'finetuned'") == 4
    for result in told["results"]:
        assert result == told["expected"]


def start(folder: Path, **arguments) -> Setup:
    """A run of three epochs with its checkpoints in a folder."""
    setup = Setup(**arguments)
    configure(setup, folder)
    return setup


def configure(setup: Setup, folder: Path) -> None:
    config = folder.with_suffix(".yaml")
    write_config(config, 3, folder, 0.2, "conv2d_[1-9].w_0")
    setup.compressor.config(config)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing stopped, its history and its weights."""
    folder = tmp_path_factory.mktemp("whole") / "checkpoints"
    setup = start(folder)
    return folder, setup.compressor.run(), weights(setup)


def assert_same_end(setup: Setup, history, whole) -> None:
    _, expected, arrays = whole
    for row, other in zip(history.rows, expected.rows, strict=True):
        for label in row.keys() - {"seconds"}:
            np.testing.assert_array_equal(row[label], other[label])
    for name, array in weights(setup).items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(tmp_path, whole, capsys):
    folder = tmp_path / "checkpoints"
    shutil.copytree(whole[0], folder)
    assert names(folder) == [".lock", "epoch-0002.safetensors", "epoch-0003.safetensors"]
    damage(folder / "epoch-0003.safetensors", "a bit")
    setup = start(folder)
    with pytest.warns(UserWarning, match=r"epoch-0003\.safetensors.*checksum"):
        history = setup.compressor.run()
    assert "resuming from" in capsys.readouterr().out
    assert_same_end(setup, history, whole)


@contextmanager
def no_room(size: int = 1 << 20):
    """Files of this process can't grow beyond a size: the kernel cuts the write short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_one_epoch(tmp_path, whole):
    folder = tmp_path / "checkpoints"
    passes, disk = [], no_room()

    def reader():
        passes.append(None)
        if len(passes) == 2:
            disk.__enter__()
        yield from BATCHES

    setup = start(folder, train_reader=reader)
    try:
        with pytest.raises(CheckpointError) as caught:
            setup.compressor.run()
    finally:
        disk.__exit__(None, None, None)
    message = str(caught.value)
    for words in ("epoch 2 cannot be written", "epoch-0002", "epoch-0001.safetensors is whole"):
        assert words in message
    assert names(folder) == [".lock", "epoch-0001.safetensors"]
    read_tensors(folder / "epoch-0001.safetensors")

    (folder / ".epoch-0002.safetensors.99").write_bytes(b"left by a killed process")
    setup = start(folder)
    assert_same_end(setup, setup.compressor.run(), whole)
    assert names(folder) == [".lock", "epoch-0002.safetensors", "epoch-0003.safetensors"]


def test_what_cannot_be_kept_is_not_begun(tmp_path, monkeypatch):
    setup = start(tmp_path / "checkpoints", train_reader=Interrupted(0))
    with lock(tmp_path / "checkpoints"):
        words = rf"another run \(process {os.getpid()}\) works in .*checkpoints"
        with pytest.raises(LockError, match=words):
            setup.compressor.run()

    (tmp_path / "file").write_text("not a folder")
    configure(setup, tmp_path / "file")
    with pytest.raises(LockError, match="file cannot be written"):
        setup.compressor.run()

    configure(setup, tmp_path / "checkpoints")
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(CheckpointError, match=r"need \d\d+ MB, but its disk has only 10 MB left"):
        setup.compressor.run()
