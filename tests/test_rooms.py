"""The rooms: imports run one way and in no circle, and no room or module grows too big."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import nbformat
import pytest

from utils.paths import ROOT

ROOMS = ("ssd_model", "pruning", "utils", "study", "benchmark")  # each may import those before it
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}


@cache
def imports(path: Path) -> frozenset[str]:
    """Modules of this project that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inside & MODULES.keys()) or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(name for name in found if name.split(".")[0] in ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_down(name):
    allowed = ROOMS[: ROOMS.index(name.split(".")[0]) + 1]
    up = [other for other in imports(MODULES[name]) if other.split(".")[0] not in allowed]
    assert not up, f"{name} imports from a room above it"


def test_no_circle():
    graph = {name: imports(path) & MODULES.keys() for name, path in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("room", ["pruning", "utils"])
def test_inside_a_room_modules_name_each_other(room):
    # The room's __init__ is its face for those outside: inside, it would close a circle.
    for name, path in MODULES.items():
        if name.startswith(f"{room}.") and name != f"{room}.__init__":
            assert room not in imports(path), name


def test_sizes():
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert sum(n for name, n in lines.items() if name.startswith("utils.")) <= 1500
    for name, path in MODULES.items():
        assert lines[name] <= 300, name
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                assert node.end_lineno - node.lineno < 250, f"{name}.{node.name}"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_imports_from_a_handful_of_places(path):
    cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    places = set()
    for node in (node for cell in cells for node in ast.walk(ast.parse(cell))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ROOMS:
            places.add(node.module)
    assert 1 <= len(places) <= 8, places


def test_what_can_do_without_paddle_loads_none():
    modules = "ssd_model.data.check, ssd_model.data.scenes, ssd_model.predict, notebooks.run"
    code = f"import sys, {modules}; print('paddle' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_contributors_are_sent_to_files_that_exist():
    page = (ROOT / "docs" / "contributing.md").read_text()
    named = re.findall(rf"`((?:{'|'.join(ROOMS)}|docs|tests)/[\w./]+\.\w+)`", page)
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).is_file()]
