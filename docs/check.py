"""What is wrong with built pages, as far as the files alone can tell."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches to show a page, by tag.
FETCHED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href",
}  # fmt: skip
# Links that only tell where the page belongs.
TOLD = {"canonical", "next", "prev", "index", "search", "author", "copyright"}


class _Page(HTMLParser):
    """Links, anchors and pictures of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.mute: list[str] = []
        self.feed(text)

    def has(self, fragment: str) -> bool:
        """Whether there is such a place; the top of the page always is."""
        return not fragment or fragment in self.anchors

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        url = values.get(FETCHED.get(tag, ""))
        if url:
            self.links.append(url)
            if values.get("rel") not in TOLD:
                self.fetched.append(url)
        # Sphinx puts the file's name where nobody wrote an alternative.
        if tag == "img" and values.get("alt", "") in ("", values.get("src")):
            self.mute.append(values.get("src", ""))


def find_faults(folder: Path) -> list[str]:
    """Dead links and anchors, things fetched from elsewhere, pictures without an alternative."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    return [
        f"{path.relative_to(folder)}: {what}"
        for path, page in sorted(pages.items())
        for what in _page_faults(path, page, pages)
    ]


def _page_faults(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    for url in dict.fromkeys(page.links):
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            if url in page.fetched and parts.scheme != "data":
                yield f"fetches {url}"
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_file():
            yield f"links to {url}, which is not there"
        elif target in pages and not pages[target].has(unquote(parts.fragment)):
            yield f"links to {url}, and there is no such place on that page"
    for source in page.mute:
        yield f"the picture {source} has no text alternative"
