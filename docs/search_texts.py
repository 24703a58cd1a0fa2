"""A Sphinx extension: what the search shows of a page, in a script, for pages on a disk.

There a page may not fetch another one to show where in it the words stand.
"""

import json
import re
from pathlib import Path

from sphinx.application import Sphinx

# Most of a page's markup, and of no use to a search.
SPANS = re.compile(r"</?span\b[^>]*>")


def setup(app: Sphinx) -> dict:
    bodies: dict[str, str] = {}

    def collect(app, pagename: str, templatename: str, context: dict, doctree) -> None:
        if doctree:
            bodies[pagename] = SPANS.sub("", context["body"])

    def write(app, exception: Exception | None) -> None:
        if exception is None:
            text = json.dumps(bodies, ensure_ascii=False)
            path = Path(app.outdir) / "_static" / "page_texts.js"
            path.write_text(f"const PAGE_TEXTS = {text};\n", encoding="utf-8")

    app.connect("html-page-context", collect)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
