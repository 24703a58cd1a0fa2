"""Fonts for whatever a class may be called."""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.font_manager import FontEntry, FontProperties, fontManager, get_font

# Noto Sans for many scripts and emoji, and for Chinese, Japanese and Korean
PACKAGES = ("manimgx_fonts", "noto_cjk_sans_otc")


def shown(texts: Sequence[str]) -> list[str]:
    """Texts as plots can show them: fonts are found for their letters.

    A letter that no font has is written as its number, as \\u505c.
    """
    lacking = _lacking(texts, fontManager.findfont(FontProperties(family=["sans-serif"])))
    families = []
    for entry in _entries() if lacking else ():
        left = _lacking(lacking, entry.fname)
        families += [entry.name] * (left != lacking)
        lacking = left
        if not lacking:
            break
    known = plt.rcParams["font.family"]
    plt.rcParams["font.family"] = [*known, *(name for name in families if name not in known)]
    escapes = {ord(letter): ascii(letter)[1:-1] for letter in lacking}
    return [text.translate(escapes) for text in texts]


def _lacking(texts: Iterable[str], path: str) -> set[str]:
    """The letters that a font does not have."""
    return {letter for text in texts for letter in text if ord(letter) not in _letters(path)}


@cache
def _letters(path: str) -> frozenset[int]:
    return frozenset(get_font(path).get_charmap())


@cache
def _entries() -> list[FontEntry]:
    """The upright fonts of normal weight: those of the packages first, then the machine's."""
    specs = [spec for name in PACKAGES if (spec := find_spec(name))]
    own = [p for spec in specs for p in sorted(Path(spec.origin).parent.glob("*.tt[cf]"))]
    for path in own:
        fontManager.addfont(path)
    entries = [
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal" and entry.weight == 400 and "Last Resort" not in entry.name
    ]
    # Of the faces that differ by country only, that of mainland China first
    return sorted(
        entries,
        key=lambda entry: (Path(entry.fname) not in own, not entry.name.endswith("SC"), entry.name),
    )
