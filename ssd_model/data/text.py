"""Names that come from a data folder: which are taken, when two are the same, how they are told."""

import unicodedata

LONGEST_NAME = 100  # of a class
# Joiners and blanks: names may hold them, but not alone
UNSEEN = ("Cf", "Mn", "Me", "Zs")
# Control characters, halves of characters, and what ends a line or a paragraph
CONTROL = ("Cc", "Cs", "Zl", "Zp")


def has_control(text: str) -> bool:
    """Whether a text has characters that steer a terminal, or that no file can hold."""
    return any(unicodedata.category(character) in CONTROL for character in text)


def why_no_class(name: str) -> str | None:
    """What keeps a text from being the name of a class; None if it can be one.

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
    """The name as it is compared: without blanks around it, letters with accents in one piece."""
    return unicodedata.normalize("NFC", text.strip())


def fold(name: str) -> str:
    """What file names have in common that look the same: accents in one piece or two, a narrow
    blank, a full-width letter, small or capital."""
    return unicodedata.normalize("NFKC", name).casefold()


def shorten(text: str) -> str:
    """A text from a file, short enough for a message."""
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def listed(names: list[str], most: int = 5) -> str:
    """Names one after the other, the first few of many."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
