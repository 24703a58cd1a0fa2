"""Report what a pattern of parameter names matches, what it just misses, and likely mistakes."""

import re
from dataclasses import dataclass

import pandas as pd

from pruning.dependencies import Dependencies
from pruning.pattern import matching, near_misses, some, syntax_traps

# A piece of a regular expression: an escaped character, a class, or any other character.
PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


@dataclass(frozen=True)
class PatternReport:
    """What a pattern matches among the parameters of a network; all are given by name."""

    pattern: str
    prunable: tuple[str, ...]
    """The filters that it matches and that can be cut."""
    refused: dict[str, str]
    """The other parameters that it matches, and why they can't be cut by name."""
    search_only: tuple[str, ...]
    """Other names that `re.search` would match."""
    dot_only: tuple[str, ...]
    """Names that match only because an unescaped dot stood for another character."""
    open_end: tuple[str, ...]
    """Names that match although they go on after the match."""
    advice: tuple[str, ...]
    """A sentence for each mistake that this pattern may contain."""
    masters: dict[str, str]
    """Prunable filters that lose the same channels as an earlier one, and the name of that one."""

    @property
    def explicit(self) -> str:
        """The safest pattern for the filters that can be cut: each name spelled out to its end."""
        return "|".join(re.escape(name) + "$" for name in self.prunable)

    def table(self) -> pd.DataFrame:
        """One row for each parameter that `re.match` or `re.search` matches: what happens to it."""
        fates = {
            n: f"cut with {self.masters[n]}" if n in self.masters else "cut" for n in self.prunable
        }
        fates |= {n: f"refused: {w}" for n, w in self.refused.items()}
        fates |= dict.fromkeys(self.search_only, "not matched, but re.search would take it")
        return pd.DataFrame({"what happens": fates}).rename_axis("parameter")

    def __str__(self) -> str:
        lines = [f"{self.pattern} matches {len(self.prunable) + len(self.refused)} parameters"]
        lines += [f"  cut: {', '.join(self.prunable)}"] if self.prunable else []
        pairs = [f"{name} with {master}" for name, master in self.masters.items()]
        lines += [f"  together: {some(pairs)}"] if pairs else []
        lines += [f"  refused: {names}: {why}" for why, names in self._by_reason().items()]
        lines += [f"  - {sentence}" for sentence in self.advice]
        lines += [f"  safest: {self.explicit}"] if self.prunable else []
        return "\n".join(lines)

    def _by_reason(self) -> dict[str, str]:
        reasons: dict[str, list[str]] = {}
        for name, why in self.refused.items():
            reasons.setdefault(why, []).append(name)
        return {why: some(names) for why, names in reasons.items()}


def explain_pattern(dependencies: Dependencies, pattern: str) -> PatternReport:
    """Explain what a pattern selects by `re.match`, as in the original, and what may be wrong.

    Raises:
        PatternError: it is not a regular expression.
    """
    names = list(dependencies.shapes)
    matched = matching(re.match, pattern, names)
    searched = matching(re.search, pattern, names)
    strict = matching(re.match, escape_dots(pattern), names)
    complete = matching(re.fullmatch, pattern, names)
    refused = {name: dependencies.why_not(name) for name in matched}
    prunable = tuple(name for name in dependencies.groups if name in matched)
    by_filters = {dependencies.groups[n].filters: n for n in dependencies.masters(prunable)}
    masters = {name: by_filters[dependencies.groups[name].filters] for name in prunable}
    report = PatternReport(
        pattern=pattern,
        prunable=prunable,
        refused={name: why for name, why in refused.items() if why},
        search_only=tuple(name for name in searched if name not in matched),
        dot_only=tuple(name for name in matched if name not in strict),
        open_end=tuple(name for name in matched if name not in complete),
        advice=(),
        masters={name: master for name, master in masters.items() if name != master},
    )
    advice = tuple(_advice(report) if matched else near_misses(pattern, names))
    return PatternReport(**(vars(report) | {"advice": advice}))


def escape_dots(pattern: str) -> str:
    """Escape a pattern's bare dots, so that they match only dots; repeated ones (`.*`) stay."""
    pieces = [*PIECE.findall(pattern), ""]
    return "".join(
        r"\." if piece == "." and not (following and following in "*+?{") else piece
        for piece, following in zip(pieces, [*pieces[1:], ""], strict=True)
    )


def _advice(report: PatternReport) -> list[str]:
    found = syntax_traps(report.pattern)
    if report.refused:
        found.append(
            "nothing is pruned while it matches what can't be cut: name the filters one by one, "
            "as below"
            if report.prunable
            else "nothing it matches can be cut: name plain convolutions, for example conv2d_1.w_0"
        )
    if report.prunable and report.open_end:
        found.append(
            f"only the beginning of {some(report.open_end)} is in the pattern, and re.match leaves "
            r"the rest open: end it with \.w_0$"
        )
    if report.dot_only:
        found.append(
            rf"a dot stands for any character, and so took {some(report.dot_only)}: write \."
        )
    elif escape_dots(report.pattern) != report.pattern:
        found.append(r"a dot stands for any character; here it took only dots: write \. to be sure")
    if report.search_only:
        found.append(
            f"re.search would also take {some(report.search_only)}; re.match, which counts here "
            "and in the original, does not"
        )
    return found
