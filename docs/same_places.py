"""A Sphinx extension: a heading is called the same in both languages, so that links to it stay.

The English pages are built first, in the same process, and leave their headings' names here.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

places: dict[str, list[tuple[str | None, list[str]]]] = {}
"""By page, for each heading: what links call it, and what HTML calls it."""


class SamePlaces(SphinxTransform):
    """Notes the names of a page's headings, or gives them those that were noted."""

    default_priority = 870  # before MyST looks for the places that a page's links lead to

    def apply(self) -> None:
        sections = list(self.document.findall(nodes.section))
        if self.config.language == "en":
            places[self.env.docname] = [(one.get("slug"), one["ids"]) for one in sections]
            return
        slugs = self.env.metadata[self.env.docname].get("myst_slugs", {})
        own = [slugs.pop(one.get("slug"), None) for one in sections]
        for section, found, (slug, ids) in zip(
            sections, own, places[self.env.docname], strict=True
        ):
            section["ids"] = ids
            if found:
                line, _, title = found
                slugs[slug] = line, ids[0], title


def setup(app: Sphinx) -> dict:
    app.add_transform(SamePlaces)
    return {"parallel_read_safe": False}
