"""Fonts for whatever a class may be called: letters of all scripts, in plots and on images."""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontEntry, fontManager
from matplotlib.ft2font import FT2Font

# Noto Sans for many scripts and emoji, and for Chinese, Japanese and Korean
PACKAGES = ("manimgx_fonts", "noto_cjk_sans_otc")
BASE_FONT = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def shown(texts: Sequence[str]) -> list[str]:
    """Texts as plots can show them: fonts are found for their letters.

    A letter that no font has is written as its number, as \\u505c.
    """
    lacking = _lacking(texts, BASE_FONT)
    families = []
    for entry in _entries() if lacking else ():
        left = _lacking(lacking, entry.fname)
        families += [entry.name] * (left != lacking)
        lacking = left
        if not lacking:
            break
    known = matplotlib.rcParams["font.family"]
    new = [name for name in families if name not in known]
    matplotlib.rcParams["font.family"] = [*known, *new]
    escapes = {ord(letter): _escaped(letter) for letter in lacking}
    return [text.translate(escapes) for text in texts]


@cache
def in_pieces(text: str) -> tuple[tuple[str, str], ...]:
    """A text as it can be drawn, piece by piece, each with the file of its font; see `shown`."""
    pieces: list[tuple[str, str]] = []
    for letter in text:
        files = (entry.fname for entry in _entries())
        # What joins letters belongs to their font; the digits of a font of emoji are too wide.
        first = [pieces[-1][1]] if pieces and not letter.isascii() else []
        font = next((p for p in (*first, BASE_FONT, *files) if not _lacking(letter, p)), None)
        piece, font = (letter, font) if font else (_escaped(letter), BASE_FONT)
        if pieces and pieces[-1][1] == font:
            piece = pieces.pop()[0] + piece
        pieces.append((piece, font))
    return tuple(pieces)


def _escaped(letter: str) -> str:
    return ascii(letter)[1:-1]


def _lacking(texts: Iterable[str], path: str) -> set[str]:
    """The letters that a font does not have."""
    return {letter for text in texts for letter in text if ord(letter) not in _letters(path)}


@cache
def _letters(path: str) -> frozenset[int]:
    """What a font has; nothing, if it can't be drawn in any size."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # gone since matplotlib listed it, or damaged
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()


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
        if entry.style == "normal" and entry.weight == 400 and "LastResort" not in entry.fname
    ]
    # Of the faces that differ by country only, that of mainland China first
    return sorted(
        entries,
        key=lambda entry: (Path(entry.fname) not in own, not entry.name.endswith("SC"), entry.name),
    )
