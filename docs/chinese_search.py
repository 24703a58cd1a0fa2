"""A Sphinx extension: the search of the Chinese pages, without a dictionary of Chinese words.

Chinese is written without spaces. So pages are listed by each pair of letters that stand together,
and a page that has all pairs of what is searched for is found.
"""

import re

from sphinx.application import Sphinx
from sphinx.search import SearchLanguage


class PairSearch(SearchLanguage):
    """Pairs of Chinese letters, and other words as they are."""

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = r"""
var splitQuery = (query) =>
  [...query.matchAll(/[\u3400-\u9fff]+|[^\s\u3400-\u9fff\p{P}]+/gu)].flatMap(([word]) =>
    /[\u3400-\u9fff]{2}/.test(word)
      ? Array.from({ length: word.length - 1 }, (_, i) => word.slice(i, i + 2))
      : [word],
  );
// A result shows where the whole words stand, if they do.
const summarise = Search.makeSearchSummary;
Search.makeSearchSummary = (text, terms, anchor) => {
  const query = new URLSearchParams(location.search).get("q").trim();
  return summarise(text, new Set([...terms, query]), anchor);
};
"""

    def split(self, input: str) -> list[str]:
        """The words of a text: of Chinese, each letter and each pair."""
        found = []
        for word in re.findall(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+", input):
            if "\u3400" <= word[0] <= "\u9fff":
                found += [*word, *(word[i : i + 2] for i in range(len(word) - 1))]
            else:
                found.append(word)
        return found

    def stem(self, word: str) -> str:
        return word.lower()


def setup(app: Sphinx) -> dict:
    app.add_search_language(PairSearch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
