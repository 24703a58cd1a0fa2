"""The settings that Paddle needs, where they apply and where they don't."""

import os
import platform
import subprocess
import sys

import pytest

from ssd_model import runtime
from utils.paths import ROOT


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_paddle_first_is_refused_with_a_sentence():
    done = python("import paddle, utils", FLAGS_enable_pir_api="1")
    assert "restart, and `import utils` first" in done.stderr


def test_building_without_utils_is_refused_with_a_sentence():
    done = python(
        "from ssd_model.programs import build_detector; build_detector(3, False)",
        FLAGS_enable_pir_api="1",
    )
    assert "`import utils` first" in done.stderr


def test_importing_says_nothing():
    done = python("import pruning.compressor", OMP_NUM_THREADS="2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_onnx_runtime_keeps_no_mark_of_the_machine(tmp_path, monkeypatch):
    """Else importing it writes an identifier, under which it reports, into the cache."""
    for name in ("ORT_DISABLE_TELEMETRY", "CI"):  # it is silent in anyone's CI
        monkeypatch.delenv(name, raising=False)
    done = python("import utils, onnxruntime", HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    runtime.prepare()
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_another_python_is_refused_with_a_sentence(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    with pytest.raises(RuntimeError, match=r"use 3\.11, 3\.12 or 3\.13") as refused:
        runtime.prepare()
    assert ("when paddlepaddle publishes" in str(refused.value)) == (version == (3, 14))


def test_a_missing_libgomp_is_told_in_one_sentence(tmp_path):
    error = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "paddle.py").write_text(f"raise ImportError({error!r})")
    done = python("import utils", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done.stderr == "Paddle needs libgomp, which is not installed: apt-get install libgomp1\n"
    assert done.returncode == 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another libc keeps no freed memory")
def test_freed_memory_is_returned():
    done = python("""
import numpy as np, psutil, utils
from ssd_model.runtime import return_freed_memory

def mib():
    return psutil.Process().memory_info().rss >> 20

blocks = [np.ones(1 << 21) for _ in range(20)]  # of 16 MiB, which glibc keeps
full = mib()
del blocks
kept = mib()
return_freed_memory()
print(full - kept, full - mib())
""")
    given_back, returned = map(int, done.stdout.split())
    assert given_back < 100
    assert returned > 250
