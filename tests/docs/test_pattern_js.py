"""What the pages compute is what Python computes: the names that a pattern takes."""

import random
import re

import pytest

from pruning.pattern import PatternError, matching
from tests.helpers.browser import needs_browser

pytestmark = needs_browser

NAMES = [
    f"{layer}_{number}.{end}"
    for layer in ("conv2d", "depthwise_conv2d", "batch_norm")
    for number in (*range(16), 23)
    for end in ("w_0", "b_0")
]


def pythons(pattern: str) -> list[str] | None:
    try:
        return matching(re.match, pattern, NAMES)
    except PatternError:
        return None


def in_page(scripts, patterns: list[str], names: list[str]) -> list[list[str] | str]:
    """For each pattern the names that it takes, or why the page does not say."""
    return scripts.evaluate(
        """([patterns, names]) => patterns.map((text) => {
          try {
            return pattern.match(text, names);
          } catch (error) {
            if (!(error instanceof pattern.PatternError)) throw error;
            return error.message;
          }
        })""",
        [patterns, names],
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "conv2d_[1-9].w_0|conv2d_1[0-2].w_0",
        "conv2d_1",
        r"conv2d_\d+\.w_0$",
        "(?:depthwise_)?conv2d_[^13]\\.w_0",
        "conv2d_1(?=[0-2]).*",
        "(conv|batch)(2d|_norm)_1{1,2}.+0$",
        "^conv2d_.*?5",
        "conv2d_1|",
        "",
        "$",
    ],
)
def test_usual_patterns_are_understood(scripts, pattern):
    assert in_page(scripts, [pattern], NAMES) == [pythons(pattern)]


def test_the_page_never_differs_from_python(scripts):
    """Random patterns: the page takes the same names, or says that it cannot tell."""
    chance = random.Random(2)
    pieces = (
        *("conv2d_1", "depthwise_", "w_0", "1", "[1-9]", "[^1]", "[]1]", "[^]", "[", "]", "."),
        *(r"\d", r"\.", r"\1", r"\A", r"\Z", r"\b", r"\w", r"\e", r"\_", "{2}", "{,2}", "{", "}"),
        *("*", "+", "?", "*?", "*+", "|", "(", ")", "(?:", "(?=", "(?!", "(?<=", "(?P<a>", "(?i)"),
        *("(?P=a)", "(?>", "(?#", "^", "$", "[[a]", "[a&&b]", "[a--b]", "[_-z]", " ", "#"),
    )
    patterns = ["".join(chance.choices(pieces, k=chance.randint(1, 6))) for _ in range(4000)]
    told = 0
    for pattern, found in zip(patterns, in_page(scripts, patterns, NAMES), strict=True):
        if isinstance(found, list):
            told += 1
            assert found == pythons(pattern), pattern
        elif "not a regular expression" in found:
            assert pythons(pattern) is None, pattern
    assert told > 300


@pytest.mark.parametrize("pattern", ["(conv.*)*x", "((a+)b?)+c", "(a|ab)*c", r"(\w+){2,}x"])
def test_a_pattern_that_takes_for_ever_is_refused(scripts, pattern):
    (message,) = in_page(scripts, [pattern], ["conv2d_1.w_0"])
    assert message.startswith("repetitions inside repetitions")
