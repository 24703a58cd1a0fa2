"""What the project stands on: each dependency is pinned with a hash, is installed, and imports."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from ssd_model.runtime import SUPPORTED_PYTHON
from utils.paths import ROOT


def read_requirements() -> list[Requirement]:
    lines = (ROOT / "requirements.in").read_text().splitlines()
    texts = (line.split("#")[0].strip() for line in lines)
    return [Requirement(text) for text in texts if text]


REQUIREMENTS = read_requirements()


def read_lock() -> dict[str, str]:
    """By package, its lines in the lock."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    return {canonicalize_name(re.match(r"[\w.-]+", block)[0]): block for block in blocks if block}


def test_one_set_of_pythons():
    """What make looks for, what the code admits and what the package says are the same."""
    makefile = (ROOT / "Makefile").read_text()
    looked_for = re.search(r"^PYTHONS := (.*)$", makefile, re.M)[1].split()
    admitted = [f"{major}.{minor}" for major, minor in SUPPORTED_PYTHON]
    assert looked_for == admitted[::-1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    said = SpecifierSet(project["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if said.contains(f"3.{minor}")] == admitted
    assert project["tool"]["ruff"]["target-version"] == f"py{admitted[0].replace('.', '')}"
    readme = (ROOT / "README.md").read_text()
    assert f"With Python {', '.join(admitted[:-1])} or {admitted[-1]}," in readme


def test_everything_is_pinned_with_a_hash():
    lock = read_lock()
    for name, block in lock.items():
        assert re.match(r"[\w.-]+==\S+", block), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), name
    for requirement in REQUIREMENTS:
        pinned = re.match(r"[\w.-]+==([^\s;]+)", lock[canonicalize_name(requirement.name)])[1]
        assert requirement.specifier.contains(pinned), requirement


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: r.name)
def test_what_is_installed_is_what_is_asked_for(requirement):
    assert requirement.specifier.contains(version(requirement.name))


IMPORT_ALL = """
import importlib, json, sys, traceback
import utils  # first, as everywhere
failures = {}
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
    except BaseException:
        failures[module] = traceback.format_exc()
print(json.dumps(failures))
"""


def test_every_dependency_imports():
    wanted = {canonicalize_name(requirement.name) for requirement in REQUIREMENTS}
    modules = {
        module: {canonicalize_name(name) for name in names} & wanted
        for module, names in packages_distributions().items()
        if re.fullmatch(r"[A-Za-z]\w*", module)
    }
    assert set().union(*modules.values()) == wanted
    chosen = sorted(module for module, names in modules.items() if names)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *chosen], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    failures = json.loads(done.stdout.splitlines()[-1])
    assert not failures, "\n".join(failures.values())
    assert "Warning" not in done.stderr
