"""What a run outlives: kills, damaged checkpoints, a full disk; and who may work where."""

import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import paddle
import pytest

from pruning import checkpoints
from pruning.checkpoints import CheckpointError, RunState
from pruning.config import write_config
from ssd_model.files import write_file
from ssd_model.lock import LockError, lock
from ssd_model.weights import read_tensors, write_tensors
from study import shipped_baseline as baseline
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


# Checkpoints


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "a bit":
        content[-1000] ^= 1
    if how == "a state":
        content = content.replace(b'\\"epoch\\": 2', b'\\"epoch\\": 1')
    wanted = {"short": content[:-1], "empty": b"", "text": b"not a checkpoint"}
    path.write_bytes(wanted.get(how, content))


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


# Disks and folders


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


def test_the_best_checkpoint_needs_room_besides_the_last(tmp_path, monkeypatch):
    program = Setup().train.program
    one = 4 * sum(abs(math.prod(v.shape)) for v in program.list_vars() if v.persistable)
    usage = shutil.disk_usage(tmp_path)._replace(free=3 * one)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    checkpoints.check_room(tmp_path, program, "last")
    with pytest.raises(CheckpointError, match="free some space"):
        checkpoints.check_room(tmp_path, program, "best")


@pytest.fixture
def read_only():
    """A folder that this process may only read, even if the tests are run by root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "kept"
        folder.mkdir()
        (folder / "old").write_bytes(b"old")
        folder.chmod(0o555)
        Path(name).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_read_only_folder_is_named(read_only):
    words = rf"{read_only} cannot be written .*Permission denied"
    with pytest.raises(LockError, match=words), lock(read_only):
        pass
    with pytest.raises(PermissionError, match=re.escape(f"{read_only}/old")):
        write_file(read_only / "old", b"new")
    assert names(read_only) == ["old"]
    assert (read_only / "old").read_bytes() == b"old"


def test_a_lock_does_not_outlive_its_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from ssd_model.lock import lock\n"
        f"with lock(Path({str(tmp_path)!r})): print('locked', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(LockError, match=rf"process {holder.pid}\)"), lock(tmp_path):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with lock(tmp_path):
        pass
    with lock(tmp_path):
        pass


def test_two_baselines_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["baseline", "--folder", str(tmp_path)])
    with lock(tmp_path), pytest.raises(SystemExit, match=f"works in {tmp_path}: wait"):
        baseline.main()


def rows(*values: float) -> list[dict]:
    return [{"epoch": i, "map": value, "stage": "finetuned"} for i, value in enumerate(values)]


def kept(folder: Path, keep: str) -> list[int]:
    """Epochs left of a run whose metric was highest after its second epoch of five."""
    folder.mkdir()
    scope, program = paddle.static.Scope(), paddle.static.Program()
    for epoch in range(1, 6):
        history = rows(0.9, 0.1, 0.8, 0.3, 0.7, 0.4)[: epoch + 1]  # the first is the baseline's
        state = RunState({}, epoch, history=history)
        checkpoints.save(folder, state, [program], scope, keep, "map")
    return sorted(int(path.stem[6:]) for path in folder.glob("epoch-*"))


def test_which_checkpoints_stay(tmp_path):
    assert kept(tmp_path / "last", "last") == [4, 5]
    assert kept(tmp_path / "best", "best") == [2, 4, 5]
    assert kept(tmp_path / "all", "all") == [1, 2, 3, 4, 5]
    assert checkpoints.read_best(tmp_path / "best", "map")[1] == 2
    with pytest.raises(CheckpointError, match="no checkpoint of a best epoch"):
        checkpoints.read_best(tmp_path / "last", "map")
