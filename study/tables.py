"""Tables in Markdown pages, each made anew between its marks: <!-- name --> and <!-- /name -->."""

import re
from collections.abc import Mapping

import pandas as pd

Table = list[list[str]]
"""Lines of cells, the headings first."""


def fill(text: str, tables: Mapping[str, Table]) -> str:
    """A page with every table that it has marks for."""
    for name, table in tables.items():
        between = f"<!-- {name} -->\n{_markdown(table)}<!-- /{name} -->"
        text = re.sub(
            rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, new=between: new, text, flags=re.S
        )
    return text


def _markdown(table: Table) -> str:
    frame = pd.DataFrame(table[1:], columns=table[0])
    return frame.to_markdown(index=False, tablefmt="github", disable_numparse=True) + "\n"
