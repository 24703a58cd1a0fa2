"""Links that open a chapter with a kernel, and what has to be installed there."""

import ast
import re
from importlib.metadata import packages_distributions

import pytest

from docs.elsewhere import kernels
from utils.paths import ROOT

COLAB_HAS = {
    *("numpy", "matplotlib", "pandas", "pillow", "pyyaml", "tqdm", "protobuf"),
    *("ipython", "ipykernel", "ipywidgets", "nbformat", "psutil"),
}

ELSEWHERE = {"paddleslim", "prune-mobilenet-ssd", "ncnn", "pnnx", "pydantic_core"}
"""Installed by a line of its own, optional here as everywhere, or brought by another."""


def test_addresses():
    links = kernels("someone/a-fork", "notebooks/01_inspect_parameters")
    assert links == {
        "Open in Colab": "https://colab.research.google.com/github/someone/a-fork/blob/HEAD"
        "/notebooks/01_inspect_parameters.ipynb",
        "Open in Binder": "https://mybinder.org/v2/gh/someone/a-fork/HEAD"
        "?labpath=notebooks/01_inspect_parameters.ipynb",
    }
    assert kernels("", "notebooks/01_inspect_parameters") == {}


@pytest.mark.parametrize("repository", ["owner", "https://github.com/owner/name", 'a/b"c'])
def test_what_is_no_repository_is_refused(repository):
    with pytest.raises(ValueError, match="write owner/name"):
        kernels(repository, "notebooks/01_inspect_parameters")


def test_colab_gets_all_that_the_notebooks_import():
    listed = {
        re.split(r"[=<> ]", line)[0]
        for line in (ROOT / ".binder" / "colab.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    own = {"ssd_model", "pruning", "utils"}
    imported = {
        name.split(".")[0]
        for room in own
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _names(node)
    }
    found = packages_distributions()
    needed = {found[name][0].lower() for name in imported - own if name in found}
    assert needed - listed - COLAB_HAS - ELSEWHERE == set()


def test_binder_and_the_project_use_one_python():
    version = re.compile(r"python=([\d.]+)")
    files = (ROOT / "environment.yml", ROOT / ".binder" / "environment.yml")
    assert len({version.search(file.read_text())[1] for file in files}) == 1


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
