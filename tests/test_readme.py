"""The README says what is so, and its commands work."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import nbformat
import pytest

from ssd_model.data.scenes import write_scenes
from tests.helpers.make import make
from utils.paths import ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = set(re.findall(r"^(make [a-z].*)$|`(make [a-z][^`]*)`", README, re.M))
TARGETS = {shlex.split(max(command))[1] for command in COMMANDS}

HERE = {"help", "check-data", "format", "lab"}  # run below
ELSEWHERE = {
    "detect": "tests/ssd_model/export/test_detect.py",
    "serve": "tests/docs/test_html.py",
}
# The net, or hours: only what they would do is seen.
TOO_MUCH = {"lock", "baseline", "results", "benchmark"}


def test_its_files_exist():
    for path in re.findall(r"\]\(([^):]+)\)", README):
        assert (ROOT / path).exists(), path
    tree = re.search(r"```\n(notebooks/ .*?)```", README, re.S).group(1)
    folders = re.findall(r"^(\w+)/", tree, re.M)
    assert {"docs", "tests"} < set(folders)
    for folder in set(folders) - {"build"}:
        assert (ROOT / folder).is_dir(), folder


def test_every_command_is_run_by_a_test_or_by_ci():
    ci = set(re.findall(r"^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(), re.M))
    assert TARGETS - ci - HERE - set(ELSEWHERE) - TOO_MUCH == set()
    for target, path in ELSEWHERE.items():
        assert f'"{target}"' in (ROOT / path).read_text()


@pytest.mark.parametrize("command", sorted(map(max, COMMANDS)))
def test_make_knows_the_command(command):
    done = make("-n", *shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["data", "serve", "html", "detect", "run-notebooks"])
def test_a_value_that_begins_with_a_dash_is_no_option(target):
    shown = make("-n", target, "OUTPUT=-q", "IMAGES=-i", "DATA_DIR=-d", "PRETRAINED=-p").stdout
    assert "='-q'" in shown
    assert not re.search(r"--[a-z-]+ +'-", shown)


def test_make_help_lists_the_targets():
    shown = make("help").stdout
    assert set(re.findall(r"make ([a-z-]+)", shown)) >= TARGETS


def test_make_check_data(tmp_path):
    folder = write_scenes(tmp_path / "signs", trainval=2, test=1, processes=1)
    done = make("check-data", f"DATA_DIR={folder}")
    assert done.returncode == 0 and f"{folder} has no faults" in done.stdout
    (folder / "Annotations" / "gone.xml").touch()
    with (folder / "ImageSets" / "Main" / "test.txt").open("a") as ids:
        ids.write("gone\n")
    done = make("check-data", f"DATA_DIR={folder}")
    assert done.returncode != 0 and "line 'gone': no image of this name" in done.stdout


def test_make_format_removes_the_outputs_that_make_lint_finds(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    path = tmp_path / "notebooks" / "01_a.ipynb"
    path.parent.mkdir()
    cell = nbformat.v4.new_code_cell("1 + 1", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "2"})]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    done = make("lint", folder=tmp_path)
    assert done.returncode != 0 and "notebooks/01_a.ipynb" in done.stdout
    assert "make format removes them" in done.stdout
    assert make("format", folder=tmp_path).returncode == 0
    assert make("lint", folder=tmp_path).returncode == 0
    assert nbformat.read(path, as_version=4).cells[0].outputs == []


def test_make_lab_serves_the_notebooks(tmp_path):
    settings = "c.ServerApp.open_browser = False\nc.ServerApp.allow_root = True\n"
    (tmp_path / "jupyter_server_config.py").write_text(settings)
    server = subprocess.Popen(
        ["make", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.ready", "lab"],
        cwd=ROOT,
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        # It ends with the server, or with the line that gives the address.
        assert any(re.search(r":\d+/lab.*token=", line) for line in server.stderr)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_make_html_runs_the_notebooks_if_none_were_run(tmp_path):
    command = "-n", "html", f"OUTPUT={tmp_path}", "PROFILE=smoke"
    shown = make(*command).stdout
    assert "--profile='smoke'" in shown and "docs.build" in shown
    (tmp_path / "report.json").touch()
    shown = make(*command).stdout
    assert "--profile" not in shown and f"docs.build --output='{tmp_path}'" in shown
