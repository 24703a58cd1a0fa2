"""Match names with a regular expression, and explain what may be wrong if none matches."""

import difflib
import fnmatch
import re
from collections.abc import Callable, Collection, Iterable
from functools import partial

from pruning.time_limit import time_limit

MATCH_SECONDS = 2


class PatternError(ValueError):
    """A pattern of parameter names that cannot be pruned as it stands."""


def matching(method: Callable, pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern matches by `re.match`, `re.search` or `re.fullmatch`.

    Raises:
        PatternError: it is not a regular expression, or takes more than `MATCH_SECONDS` seconds.
    """
    try:
        with time_limit(MATCH_SECONDS):
            return [name for name in names if method(pattern, name)]
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        advice = r"To match a bracket itself, write \( or \["
        if re.search(r"(^|[|(])[*+?]", str(pattern)):
            advice = "* repeats what stands before it: for any text write .*"
        raise PatternError(
            f"pruned_params {pattern!r} is not a regular expression: {error}. {advice}"
        ) from None
    except TimeoutError:
        raise PatternError(
            f"pruned_params {pattern!r} takes more than {MATCH_SECONDS} s to match: repetitions "
            "inside repetitions try every way to split a name; leave them out"
        ) from None


def no_match(pattern: str, names: Collection[str], prunable: Iterable[str]) -> str:
    """The error message for a pattern that matches none of the names.

    Args:
        prunable: those of the names that can be pruned.
    """
    return (
        f"pruned_params {pattern!r} matches none of the {len(names)} parameters"
        + "".join(f"; {hint}" for hint in near_misses(pattern, names))
        + f". Filters that can be cut are {', '.join(prunable)}"
    )


def near_misses(pattern: str, names: Iterable[str]) -> list[str]:
    """Sentences on what may be wrong with a pattern that matches none of the names."""
    names = list(names)
    found = syntax_traps(pattern)
    inside = matching(re.search, pattern, names)
    if inside:
        found.append(
            f"names are matched from their beginning; {some(inside)} contain it only further in: "
            "spell out the beginning"
        )
    if "*" in pattern and fnmatch.filter(names, pattern):
        found.append("* repeats what stands before it: for any text write .*")
    if "weights" in pattern:
        found.append("filters are called conv2d_1.w_0 here, not conv1_weights")
    if matching(partial(re.match, flags=re.IGNORECASE), pattern, names):
        found.append("names are in lower case")
    close = difflib.get_close_matches(pattern.replace("\\", "").rstrip("$"), names, 1)
    if not found:
        found.append(f"the nearest name is {close[0]}" if close else f"names look like {names[0]}")
    return found


def syntax_traps(pattern: str) -> list[str]:
    """Sentences on what is valid in a regular expression but was hardly meant."""
    found = []
    if re.search(r"\[\d+-\d\d+\]", pattern):
        found.append(
            "a class in brackets stands for one character, so [1-12] is 1 or 2: write "
            "[1-9] and 1[0-2], with | between"
        )
    if re.search(r"[\s,]", pattern):
        found.append("names are separated by | alone, without spaces or commas")
    return found


def some(names: Iterable[str], shown: int = 4) -> str:
    """List a few names, and say how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
