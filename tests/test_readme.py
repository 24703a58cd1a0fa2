"""The README says what is so."""

import re

from utils.paths import ROOT

README = (ROOT / "README.md").read_text()


def test_its_files_and_commands_exist():
    for path in re.findall(r"\]\(([^):]+)\)", README):
        assert (ROOT / path).exists(), path
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README, re.M)):
        assert f"\n{max(target)}:" in makefile, target
