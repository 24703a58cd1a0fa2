"""Fills the numbers of a run into the pages that show them."""

import re
from functools import partial
from typing import Any

from jinja2 import Environment, StrictUndefined


def fill_in(
    page: str,
    report: dict[str, Any],
    results: bool,
    repository: str = "",
    unmeasured: str = "not measured",
) -> str:
    """A page with the numbers of a report.json; one that is not there is an error.

    Args:
        results: whether the pages of results/ are shown, too.
        repository: on GitHub, as owner/name; empty if there is none.
        unmeasured: what stands in the place of a number that is None.
    """
    pages = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"number": partial(_number, unmeasured), "plain": _plain}
    return pages.from_string(page).render(report=report, results=results, repository=repository)


def _number(unmeasured: str, value: float | None, form: str = ".3f") -> str:
    return unmeasured if value is None else format(value, form)


def _plain(text: str) -> str:
    """A text that anybody wrote, as the name of a class, so that no sign in it is Markdown."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
