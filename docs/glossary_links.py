"""A Sphinx extension: the first use of a glossary term on a page links to the glossary.

So the notebooks' prose carries no markup that only Sphinx understands.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

PAGES = ("notebooks/", "data", "report", "results/", "ssd_model/")
# Where a link would be lost, wrong or twice one.
CLOSED = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.raw, nodes.image)
CLOSED += (addnodes.pending_xref, addnodes.download_reference, addnodes.toctree)


def link_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Replace each term's first use in running text by a link to what it means."""
    if not docname.startswith(PAGES):
        return
    objects = app.env.get_domain("std").objects
    terms = {name: place for (kind, name), place in objects.items() if kind == "term"}
    # Longer ones first: "pruning ratio" before "ratio". One Chinese letter may belong to any word.
    for term in sorted((term for term in terms if len(term) > 1), key=len, reverse=True):
        use = _use(term)
        for text in list(doctree.findall(nodes.Text)):
            found = use.search(text)
            if found and not _closed(text):
                _link(app, text, found, docname, *terms[term])
                break


def _use(term: str) -> re.Pattern:
    """Where a term stands in a text. Between Chinese words there is nothing to tell them apart."""
    before, after = (r"\b" if letter.isascii() else "" for letter in (term[0], term[-1]))
    case = re.IGNORECASE if term.islower() else re.NOFLAG
    return re.compile(rf"{before}{re.escape(term)}(?:s|es)?{after}", re.ASCII | case)


def _closed(node: nodes.Node) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, CLOSED) or "cell_output" in node.get("classes", ()):
            return True
    return False


def _link(app, text: nodes.Text, found: re.Match, docname: str, target: str, label: str) -> None:
    before, word, after = text[: found.start()], found.group(), text[found.end() :]
    link = make_refnode(app.builder, docname, target, label, nodes.inline("", word))
    link["classes"].append("term")
    pieces = [
        nodes.Text(piece) if isinstance(piece, str) else piece
        for piece in (before, link, after)
        if piece
    ]
    text.parent.replace(text, pieces)


def setup(app: Sphinx) -> dict:
    app.connect("doctree-resolved", link_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
