"""What the project stands on: each dependency is pinned with a hash, is installed, and imports."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
