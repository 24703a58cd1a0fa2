"""Check, compare, count and shorten what a data folder names."""

import re
import unicodedata

LONGEST_NAME = 100  # of a class
# Joiners and blanks: names may contain them, but not only them
UNSEEN = ("Cf", "Mn", "Me", "Zs")
# Control characters, halves of characters, and what ends a line or a paragraph
CONTROL = ("Cc", "Cs", "Zl", "Zp")
# Marks that editors leave behind, such as the one at the start of a file; blanks without a width
MARKS = "\ufeff\u200b\u200e\u200f\u2060\u00ad"


def has_control(text: str) -> bool:
    """Whether a text has characters that control a terminal, or that no file can hold."""
    return any(unicodedata.category(character) in CONTROL for character in text)


def why_no_class(name: str) -> str | None:
    """Say why a text cannot be the name of a class; None if it can.

    Letters of any script are fine, and so are emoji and the joiners between letters.
    """
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; the limit is {LONGEST_NAME}"
    if name and all(unicodedata.category(character) in UNSEEN for character in name):
        return "has no visible character; use letters"
    if has_control(name):
        return "has control characters; remove them"
    return None


def class_name(text: str) -> str:
    """Normalise a name: nothing unseen around it, letters with accents in one piece."""
    bare = text.strip()
    while bare != (bare := bare.strip(MARKS).strip()):
        pass
    return unicodedata.normalize("NFC", bare or text.strip())


def fold(name: str) -> str:
    """Fold a name, so that file names that look the same become equal."""
    # They may differ in accents in one piece or two, narrow blanks, full-width letters, case, and
    # blanks around them, which no list keeps.
    return unicodedata.normalize("NFKC", name).casefold().strip()


def look(name: str) -> str:
    """Fold the name of a class, without what cannot be seen in it."""
    return " ".join(re.sub(f"[{MARKS}]", "", fold(name)).split())


def escape_unseen(name: str) -> str:
    """Write what is not seen in a name as its number, such as \\u200b."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name)


def printable(text: str) -> str:
    """Write bytes of a file's name that are no UTF-8 as \\udc80, so that it can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()


def shorten(text: str) -> str:
    """Shorten a text from a file for a message."""
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def listed(names: list[str], most: int = 5) -> str:
    """List names; of many, only the first few."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """A number and its noun: 1 image, 2,000 images, 3 classes."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"
