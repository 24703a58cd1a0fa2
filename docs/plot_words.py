"""An IPython extension: every plot a second time, with its words in Chinese.

`make run-notebooks` loads it, since all languages share what a run gave. The second picture stands
under a type of its own, which docs/translated.py knows. What plots say is in plots.po line by line,
with {} for each number and for each name like conv2d_1.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from IPython.core.formatters import BaseFormatter, catch_format_error
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import print_figure
from traitlets import ObjectName, Unicode

TYPE = "application/vnd.translated-plot+json"
HOLE = re.compile(r"\w*_[\w.]*|\d+(?:[.,]\d+)*")


def template(line: str) -> str:
    """A line of a plot without its numbers and names."""
    return HOLE.sub("{}", line)


def draw(figure) -> dict[str, Any]:
    """A figure in Chinese, as PNG in base64, and which of its lines have no translation."""
    lacking: set[str] = set()
    with _translated(figure, lacking):
        return {"image/png": print_figure(figure, base64=True), "lacking": sorted(lacking)}


@contextmanager
def _translated(figure, lacking: set[str]) -> Iterator[None]:
    """Have all texts of a figure in Chinese, and those that it makes while it is drawn."""
    from matplotlib import rcParams
    from matplotlib.text import Text

    from ssd_model.fonts import shown
    from utils.plots import CLASS

    set_text, before = Text.set_text, []

    def set_translated(text: Text, words: str) -> None:
        chinese = words if text.get_gid() == CLASS else translate(str(words), lacking)
        if chinese != words:
            shown([chinese])
            before.append((text, text.get_text(), text.get_fontfamily()))
            text.set_fontfamily(rcParams["font.family"])
        set_text(text, chinese)

    Text.set_text = set_translated
    try:
        for text in figure.findobj(Text):
            text.set_text(text.get_text())
        yield
    finally:
        Text.set_text = set_text
        for text, words, family in reversed(before):
            text.set_text(words)
            text.set_fontfamily(family)


def translate(text: str, lacking: set[str]) -> str:
    """A plot's text in Chinese; `lacking` gets the templates of lines without a translation."""
    lines = []
    for line in text.split("\n"):
        key = template(line)
        if key in _known():
            line = _known()[key].format(*HOLE.findall(line))
        elif re.search("[A-Za-z]{2}", key):
            lacking.add(key)
        lines.append(line)
    return "\n".join(lines)


@cache
def _known() -> dict[str, str]:
    from docs.catalogues import translations

    return translations("plots")


class TranslatedPlot(BaseFormatter):
    """Shows figures, and nothing else.

    It is not asked by type, since `%matplotlib` makes all formatters forget how to show a figure.
    """

    format_type = Unicode(TYPE)
    print_method = ObjectName("_repr_translated_plot_")
    _return_type = dict

    @catch_format_error
    def __call__(self, shown: Any) -> dict[str, Any] | None:
        # No notebook has one before it imports Matplotlib, which is not for this module to do.
        figure = sys.modules.get("matplotlib.figure")
        return draw(shown) if figure and isinstance(shown, figure.Figure) else None


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Show every figure both ways."""
    shell.display_formatter.formatters[TYPE] = TranslatedPlot(parent=shell.display_formatter)
