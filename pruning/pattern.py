"""What a pattern of parameter names takes, what it nearly takes, and the mistakes it may hold."""

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from pruning.time_limit import time_limit

if TYPE_CHECKING:
    from pruning.dependencies import Dependencies

MATCH_SECONDS = 2

# A piece of a regular expression: an escaped character, a class, or any other character.
PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


class PatternError(ValueError):
    """A pattern of parameter names that cannot be pruned as it stands."""


@dataclass(frozen=True)
class PatternReport:
    """What a pattern does with the parameters of a network, all by name."""

    pattern: str
    cut: tuple[str, ...]
    """Filters that it matches and that can be cut."""
    refused: dict[str, str]
    """What else it matches, and why that can't be cut by name."""
    search_only: tuple[str, ...]
    """What `re.search` would take as well."""
    dot_only: tuple[str, ...]
    """Matched only because a dot that was not escaped stood for another character."""
    open_end: tuple[str, ...]
    """Matched although more of the name follows."""
    advice: tuple[str, ...]
    """A sentence for each mistake that this pattern may hold."""

    @property
    def explicit(self) -> str:
        """The safest pattern for the filters that can be cut: each spelled out to its end."""
        return "|".join(re.escape(name) + "$" for name in self.cut)

    def table(self) -> pd.DataFrame:
        """One row a parameter that `re.match` or `re.search` takes, and what becomes of it."""
        fates = dict.fromkeys(self.cut, "cut") | {
            n: f"refused: {w}" for n, w in self.refused.items()
        }
        fates |= dict.fromkeys(self.search_only, "not matched, but re.search would take it")
        return pd.DataFrame({"what happens": fates}).rename_axis("parameter")

    def __str__(self) -> str:
        lines = [f"{self.pattern} matches {len(self.cut) + len(self.refused)} parameters"]
        lines += [f"  cut: {', '.join(self.cut)}"] if self.cut else []
        lines += [f"  refused: {names}: {why}" for why, names in self._by_reason().items()]
        lines += [f"  - {sentence}" for sentence in self.advice]
        lines += [f"  safest: {self.explicit}"] if self.cut else []
        return "\n".join(lines)

    def _by_reason(self) -> dict[str, str]:
        reasons: dict[str, list[str]] = {}
        for name, why in self.refused.items():
            reasons.setdefault(why, []).append(name)
        return {why: some(names) for why, names in reasons.items()}


def explain_pattern(dependencies: "Dependencies", pattern: str) -> PatternReport:
    """What a pattern selects by `re.match`, as the original does, and what may be wrong with it.

    Raises:
        PatternError: it is no regular expression.
    """
    names = list(dependencies.shapes)
    matched = matching(re.match, pattern, names)
    searched = matching(re.search, pattern, names)
    strict = matching(re.match, escape_dots(pattern), names)
    whole = matching(re.fullmatch, pattern, names)
    refused = {name: dependencies.why_not(name) for name in matched}
    report = PatternReport(
        pattern=pattern,
        cut=tuple(name for name in matched if refused[name] is None),
        refused={name: why for name, why in refused.items() if why},
        search_only=tuple(name for name in searched if name not in matched),
        dot_only=tuple(name for name in matched if name not in strict),
        open_end=tuple(name for name in matched if name not in whole),
        advice=(),
    )
    advice = tuple(_advice(report) if matched else hints(pattern, names))
    return PatternReport(**(vars(report) | {"advice": advice}))


def hints(pattern: str, names: Iterable[str]) -> list[str]:
    """Sentences on what may be wrong with a pattern that matches none of some names."""
    names = list(names)
    found = _syntax_traps(pattern)
    inside = matching(re.search, pattern, names)
    if inside:
        found.append(
            f"names are matched from their beginning, and {some(inside)} only hold it further in: "
            "spell the beginning out"
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


def escape_dots(pattern: str) -> str:
    """A pattern whose bare dots match only dots; those repeated, as in `.*`, stay wild."""
    pieces = [*PIECE.findall(pattern), ""]
    return "".join(
        r"\." if piece == "." and not (following and following in "*+?{") else piece
        for piece, following in zip(pieces, [*pieces[1:], ""], strict=True)
    )


def some(names: Iterable[str], shown: int = 4) -> str:
    """A few names in a row, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def matching(method: Callable, pattern: str, names: Iterable[str]) -> list[str]:
    """Names that `re.match`, `re.search` or `re.fullmatch` takes.

    Raises:
        PatternError: it is no regular expression, or takes more than `MATCH_SECONDS`.
    """
    try:
        with time_limit(MATCH_SECONDS):
            return [name for name in names if method(pattern, name)]
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        raise PatternError(
            f"pruned_params {pattern!r} is no regular expression: {error}. A bracket that is "
            r"meant as itself is written \( or \["
        ) from None
    except TimeoutError:
        raise PatternError(
            f"pruned_params {pattern!r} takes more than {MATCH_SECONDS} s to match: repetitions "
            "inside repetitions try every way to split a name; leave them out"
        ) from None


def _advice(report: PatternReport) -> list[str]:
    found = _syntax_traps(report.pattern)
    if report.refused:
        found.append(
            "nothing is pruned while it matches what can't be cut: name the filters one by one, "
            "as below"
            if report.cut
            else "nothing that it matches can be cut: name plain convolutions, say conv2d_1.w_0"
        )
    if report.cut and report.open_end:
        found.append(
            f"only the beginning of {some(report.open_end)} is in the pattern, and re.match leaves "
            r"the rest open: end it with \.w_0$"
        )
    if report.dot_only:
        found.append(
            rf"a dot stands for any character, and so took {some(report.dot_only)}: write \."
        )
    elif escape_dots(report.pattern) != report.pattern:
        found.append(
            r"a dot stands for any character; it met only dots here, and \. makes sure of it"
        )
    if report.search_only:
        found.append(
            f"re.search would also take {some(report.search_only)}; re.match, which counts here "
            "and in the original, does not"
        )
    return found


def _syntax_traps(pattern: str) -> list[str]:
    found = []
    if re.search(r"\[\d+-\d\d+\]", pattern):
        found.append(
            "a class in brackets stands for one character, so [1-12] is 1 or 2: write "
            "[1-9] and 1[0-2], with | between"
        )
    if re.search(r"[\s,]", pattern):
        found.append("names are separated by | alone, without blanks and commas")
    return found
