"""What the theme and the tables leave out for readers who do not see the page, put in."""

import re
from pathlib import Path

EMPTY_HEADER = re.compile(r"<th\b([^>]*)>(?:\s|&nbsp;|<p></p>)*</th>")
# A signature on several lines: a list of definitions that defines nothing.
SIGNATURE = re.compile(r"<dl>\n((?:<dd>.*?</dd>\n)+)</dl>")
# Each pair: what the theme writes, and what stands there instead.
MENDED = (
    ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    # There are two such landmarks on a page; one needs a name to be told from the other.
    ('<aside class="toc-drawer">', '<aside class="toc-drawer" aria-labelledby="toc-title">'),
    ('<span class="toc-title">', '<span class="toc-title" id="toc-title">'),
)


def mend_pages(folder: Path) -> None:
    """Mend all built pages of a folder."""
    for path in folder.rglob("*.html"):
        path.write_text(mend(path.read_text(encoding="utf-8")), encoding="utf-8")


def mend(page: str) -> str:
    """A page whose headings have levels, and whose tables and lists are what they seem."""
    for old, new in MENDED:
        page = page.replace(old, new)
    page = SIGNATURE.sub(_as_boxes, page)
    return EMPTY_HEADER.sub(r"<td\1></td>", page)


def _as_boxes(signature: re.Match) -> str:
    lines = signature[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="signature">\n{lines}</div>'
