"""Bad input by the hundred: each case ends in a proper result or in one of the project's errors.

First come the files of tests/broken, then cases made by hypothesis: as many for each test as the
profile in conftest.py says. `pytest tests -k fuzz --hypothesis-profile=long` runs more.
"""

import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import strategies as st

BROKEN = Path(__file__).parents[1] / "broken"
LONGEST_MESSAGE = 5000
CASE_SECONDS = 30


def broken(kind: str):
    """Parametrize a test with the files of a folder of tests/broken."""
    paths = sorted((BROKEN / kind).iterdir())
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


@contextmanager
def no_hang():
    """End a case that has not ended after half a minute."""

    def stop(*_):
        raise AssertionError(f"no end in {CASE_SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(CASE_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def edits(text: str, pieces: list[str]):
    """Texts that differ from a good one in up to four places."""
    edit = st.tuples(
        st.integers(0, len(text)),
        st.integers(0, 12),
        st.one_of(st.sampled_from(pieces), st.text(max_size=8)),
    )

    def apply(changes: list[tuple[int, int, str]]) -> str:
        changed = text
        for place, length, piece in changes:
            changed = changed[:place] + piece + changed[place + length :]
        return changed

    return st.lists(edit, min_size=1, max_size=4).map(apply)


def flips(content: bytes):
    """The bytes of a good file with up to eight of them changed, perhaps cut short."""
    places = st.integers(0, len(content) - 1)
    changes = st.dictionaries(places, st.integers(0, 255), max_size=8)

    def apply(changes: dict[int, int], length: int) -> bytes:
        changed = bytearray(content)
        for place, value in changes.items():
            changed[place] = value
        return bytes(changed[:length])

    return st.builds(apply, changes, st.just(len(content)) | places)
