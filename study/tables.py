"""Parts of Markdown pages, each made anew between its marks: <!-- name --> and <!-- /name -->."""

import re
from collections.abc import Mapping

import pandas as pd

Table = list[list[str]]
"""Lines of cells, the headings first."""


def fill(text: str, parts: Mapping[str, Table | str]) -> str:
    """A page with every table, or other lines of Markdown, that it has marks for."""
    for name, part in parts.items():
        lines = part if isinstance(part, str) else _markdown(part)
        between = f"<!-- {name} -->\n{lines}<!-- /{name} -->"
        text = re.sub(
            rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, new=between: new, text, flags=re.S
        )
    return text


def _markdown(table: Table) -> str:
    frame = pd.DataFrame(table[1:], columns=table[0])
    return frame.to_markdown(index=False, tablefmt="github", disable_numparse=True) + "\n"
