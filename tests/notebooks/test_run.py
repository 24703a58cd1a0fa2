"""The runner of the notebooks: what it is told, what it tells, and how it ends."""

import json
import re
import shlex
import sys
from pathlib import Path

import nbformat
import pytest

from notebooks import run as runner
from notebooks.run import NotebookError, execute
from ssd_model.lock import lock
from tests.helpers.make import make
from tests.helpers.notebook_runs import outputs_of, run
from utils.paths import ROOT


def notebook_of(folder: Path, *cells: str) -> Path:
    """A notebook of code cells, to be run from the notebooks' folder."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "small.ipynb")
    return folder / "small.ipynb"


def test_a_name_that_no_notebook_has(tmp_path):
    done = run("--output", str(tmp_path), "--only", "05")
    assert (done.returncode, done.stdout) == (2, "no notebook has '05' in its name\n")


@pytest.mark.parametrize("output", ["", ".", "notebooks/.."])
def test_the_projects_own_notebooks_are_not_overwritten(output, capsys):
    before = [path.read_bytes() for path in runner.NOTEBOOKS]
    assert runner.run({"output": output}) == 2
    assert "whose notebooks the copies would replace" in capsys.readouterr().out
    assert [path.read_bytes() for path in runner.NOTEBOOKS] == before
    assert not (ROOT / ".lock").exists()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        *[("--target-ratio", said, "is not a share of the FLOPs") for said in ("0", "nan", "0,2")],
        ("--pruned-params", "(conv", "'(conv' is not a regular expression: missing )"),
        ("--flip", "true", "invalid choice: 'true'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(monkeypatch, capsys, name, value, words):
    monkeypatch.setattr(sys, "argv", ["run", name, value])
    with pytest.raises(SystemExit):
        runner.main()
    assert words in capsys.readouterr().err


def test_a_kernel_that_dies_is_told_with_its_cell(tmp_path, capsys):
    die = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    source = notebook_of(tmp_path, "print('alive')", die, "print('never')")
    copy = tmp_path / "copy.ipynb"
    with pytest.raises(NotebookError, match=r"small\.ipynb failed in cell 2:\n  the kernel died"):
        execute(source, copy, {})
    assert outputs_of(copy) == ["alive\n", "", ""]
    # As it ran: nobody waits for the end of a long training to read how long it takes.
    assert capsys.readouterr().out == "alive\n"


def test_a_cell_before_its_time_says_what_to_run(tmp_path):
    start = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport utils"
    source, copy = notebook_of(tmp_path, start, "history.frame()"), tmp_path / "copy.ipynb"
    words = r"failed in cell 2:\n  NameError: name 'history' is not .*Run All Above Selected Cell"
    with pytest.raises(NotebookError, match=words):
        execute(source, copy, {})
    (error,) = nbformat.read(copy, as_version=4).cells[-1].outputs
    assert "history.frame()" in "".join(error.traceback)


def test_two_runs_do_not_share_an_output_folder(tmp_path, capsys):
    with lock(tmp_path):
        assert runner.run({"output": str(tmp_path)}) == 1
    assert f"works in {tmp_path}: wait" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_notebook_that_fails_stops_the_run(tmp_path):
    done = run("--output", str(tmp_path), "--target-ratio", "0.99")
    assert done.returncode == 1
    message = r"02_write_config\.ipynb failed in cell \d+:\n  PlanError: target_ratio"
    assert re.search(message, done.stdout)
    assert not (tmp_path / "notebooks" / "03_compress.ipynb").exists()
    assert (tmp_path / "notebooks" / "02_write_config.ipynb").exists()


def test_a_kernel_of_the_users_is_not_taken(tmp_path, monkeypatch):
    kernel = tmp_path / "data" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "x", "language": "python"}
    kernel.write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "{braces} {0}").mkdir()  # which papermill would fill in
    source, copy = (tmp_path / "{braces} {0}" / f"{name}.ipynb" for name in ("which", "copy"))
    cells = [nbformat.v4.new_code_cell("import sys; print(sys.executable)")]
    metadata = {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), source)
    with runner.own_kernel():
        execute(source, copy, {})
    (cell,) = nbformat.read(copy, 4).cells[-1:]
    assert cell.outputs[0].text.strip() == sys.executable


def test_make_hands_the_pattern_on_as_it_is():
    pattern = r"conv2d_1\.w_0$|it's $(HOME)"
    done = make("-n", "run-notebooks", f"PRUNED_PARAMS={pattern}", "TARGET_RATIO=0.5")
    words = shlex.split(done.stdout.replace("\\\n", "").splitlines()[-1])
    assert f"--pruned-params={pattern}" in words and "--target-ratio=0.5" in words


@pytest.mark.parametrize(
    ("said", "options"), [("yes", {"flip": True}), ("no", {"flip": False}), ("", None)]
)
def test_make_hands_yes_and_no_on(monkeypatch, said, options):
    done = make("-n", "run-notebooks", f"FLIP={said}")
    words = shlex.split(done.stdout.replace("\\\n", "").splitlines()[-1])
    ran = []
    monkeypatch.setattr(runner, "run", lambda parameters, only: ran.append(parameters))
    monkeypatch.setattr("sys.argv", words[words.index("notebooks.run") :])
    runner.main()
    assert ran[0].get("options") == options


def test_make_knows_where_home_is():
    shown = make("-n", "run-notebooks", "OUTPUT=~/mine", "DATA_DIR=~/two  blanks").stdout
    assert f"'{Path.home()}/mine'" in shown and "~" not in shown
    assert f"'{Path.home()}/two  blanks'" in shown


@pytest.mark.parametrize(
    "text", ["-x", "a `id`", 'quo"te', "it's $HOME", "$x $(HOME) $$y", "\\n;#"]
)
def test_make_hands_paths_on_as_they_are(text):
    said = [f"{name}={text}" for name in ("OUTPUT", "DATA_DIR", "PRETRAINED")]
    words = shlex.split(make("-n", "run-notebooks", *said).stdout.replace("\\\n", ""))
    for option in ("--output", "--data-dir", "--pretrained"):
        assert f"{option}={text}" in words
    done = make("check-data", f"DATA_DIR={text}")
    assert f"{text}: no such folder" in done.stdout


def test_make_without_a_name_for_the_output():
    assert "--output=build" in make("-n", "run-notebooks", "OUTPUT=").stdout


def test_make_tells_of_variables_that_it_does_not_have():
    told = make("-n", "run-notebooks", "target_ratio=0.5", "SEED=3", "WORKERS=2").stderr
    assert "target_ratio is not a variable of this Makefile" in told
    assert "SEED" not in told and "WORKERS" not in told
