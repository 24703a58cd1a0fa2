"""How make finds a Python for the virtual environment, and what it says where there is none."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ssd_model.runtime import SUPPORTED_PYTHON
from utils.paths import ROOT

NEWEST = "{}.{}".format(*SUPPORTED_PYTHON[-1])
OLDEST = "{}.{}".format(*SUPPORTED_PYTHON[0])


def setup(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`make setup` with programs in <folder>/bin alone, and pyenv's Pythons in <folder>/pyenv."""
    return subprocess.run(
        [shutil.which("make"), "setup", f"VENV={folder}/venv", *arguments],
        cwd=ROOT,
        env={"PATH": f"{folder}/bin", "PYENV_ROOT": f"{folder}/pyenv", "HOME": str(folder)},
        capture_output=True,
        text=True,
    )


def install(path: Path, status: int = 0) -> Path:
    """A program that does nothing and ends with this status."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


def chosen(folder: Path, *arguments: str) -> str:
    """The command that would make the environment."""
    shown = setup(folder, "-n", *arguments).stdout
    return re.search(rf"^(.*) {folder}/venv$", shown, re.M)[1]


def test_the_newest_on_the_path(tmp_path):
    for version in (OLDEST, NEWEST):
        install(tmp_path / "bin" / f"python{version}")
    assert chosen(tmp_path) == f'"python{NEWEST}" -m venv'
    install(tmp_path / "bin" / f"python{NEWEST}", status=127)  # pyenv's, of a version not chosen
    assert chosen(tmp_path) == f'"python{OLDEST}" -m venv'
    assert chosen(tmp_path, "PYTHON=/its/own") == '"/its/own" -m venv'


def test_one_of_pyenvs(tmp_path):
    python = install(tmp_path / "pyenv" / "versions" / f"{OLDEST}.7" / "bin" / "python")
    install(tmp_path / "pyenv" / "versions" / "3.10.1" / "bin" / "python")
    assert chosen(tmp_path) == f'"{python}" -m venv'


def test_uv_where_there_is_none(tmp_path):
    install(tmp_path / "bin" / "uv")
    assert chosen(tmp_path) == f"uv venv --seed --python {NEWEST}"


@pytest.mark.parametrize("others", [[], ["python3.10", "python3.14"]])
def test_a_sentence_where_there_is_nothing(tmp_path, others):
    for name in others:
        install(tmp_path / "bin" / name)
    done = setup(tmp_path)
    assert done.returncode != 0
    assert f"there is no Python {NEWEST}" in done.stdout and "PYTHON=/path/to" in done.stdout
    assert not (tmp_path / "venv").exists()
