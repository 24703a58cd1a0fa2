"""Who may work in a folder: one run at a time, and only where it can write."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ssd_model.files import write_file
from ssd_model.lock import LockError, lock
from study import shipped_baseline as baseline
from utils.paths import ROOT


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
    assert [path.name for path in read_only.iterdir()] == ["old"]
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
