"""Sphinx settings. `make html` copies what is read into one folder and calls Sphinx on it.

And once more with `language` set, on the same pages in Chinese, which then lie inside the others.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import utils  # noqa: F401  isort: skip  (sets Paddle up for autodoc)

from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.locale import _

from docs.catalogues import LOCALE
from docs.elsewhere import kernels
from docs.filling import fill_in

project = "Prune a MobileNetV1-SSD"
html_title = project
# On GitHub, as owner/name: chapters then get links that open them where a kernel runs. A fork's
# workflow says it by itself; without it there are no links.
repository = os.environ.get("GITHUB_REPOSITORY", "")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "chinese_search",
    "glossary_links",
    "same_places",
    "search_texts",
]
templates_path = [str(Path(__file__).parent / "_templates")]

# The notebooks have been run: nothing is run again, and what went wrong in them fails the build.
nb_execution_mode = "off"
nb_output_stderr = "warn"
nb_merge_streams = True
# A widget needs a running kernel, and the scripts that draw it come from the net.
nb_ipywidgets_js = {}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "member-order": "bysource",
    "ignore-module-all": True,  # what a module only passes on stands where it is made
}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
# Attributes are annotated; napoleon would take what comes before a colon for their type.
GoogleDocstring._parse_attribute_docstring = GoogleDocstring._consume_to_end
# Backticks in docstrings: a link where there is something of that name, else plain code.
default_role = "any"
# Nor does it matter which of several attributes has the name of a type, as `set`.
suppress_warnings = ["ref.any", "ref.python"]
# Types of other libraries have their pages elsewhere, where no build without a net can look.
nitpick_ignore_regex = [("py:.*", r"(?!(ssd_model|pruning|utils)\.).*|.*\.Annotated")]

# What the Chinese pages find among the English ones is their API.
intersphinx_disabled_reftypes = ["std:*"]

html_theme = "furo"
html_static_path = [str(Path(__file__).parent / "_static")]
html_css_files = ["workbook.css"]
html_js_files = ["reachable.js", "switch.js"]
# Scripts and styles of one page alone.
PAGE_FILES = {
    "search": ["page_texts.js", "search_from_file.js"],
    "tryit": [
        *("interactive.css", "tryit/about.js", "words.js"),
        *("detector.js", "picture.js", "engine.js", "tryit.js"),
    ],
    "notebooks/02_write_config": [
        *("interactive.css", "dependencies.js", "words.js"),
        *("plan.js", "pattern.js", "explorer.js"),
    ],
}
html_copy_source = True
html_show_sourcelink = False
html_sourcelink_suffix = ""
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"  # of accessible-pygments, which the theme brings
pygments_dark_style = "github-dark"
copybutton_prompt_text = "$ "
copybutton_selector = (
    ".cell_input pre, div.highlight-console pre, .highlight-python pre, details pre"
)

# Pages that show the numbers of the run.
WITH_NUMBERS = ("index", "report", "tryit")


def _prepare(app, docname: str, source: list[str]) -> None:
    """Let links lead to where pages are built, and put the numbers of report.json into some.

    A number that is not there is an error.
    """
    if docname.startswith("notebooks/"):
        # Links to docs/ lead to where its pages stand among the built ones.
        source[0] = source[0].replace("](../docs/", "](../")
    if docname == "api" and app.config.language == LOCALE:
        # Its modules have their pages among the English ones.
        source[0] = source[0].replace("   :toctree: api\n   :recursive:\n", "")
    if docname not in WITH_NUMBERS:
        return
    report = json.loads((Path(app.srcdir) / "report.json").read_text())
    results = (Path(app.srcdir) / "results" / "README.md").exists()
    source[0] = fill_in(source[0], report, results, repository, _("not measured"))


def _offer_notebook(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Put a link to the executed notebook under a chapter's title."""
    if not pagename.startswith("notebooks/"):
        return
    source = context["pathto"](f"_sources/{context['sourcename']}", 1)
    links = [f'<a href="{source}" download>{_("Download this notebook")}</a>']
    for name, url in kernels(repository, pagename).items():
        links.append(f'<a href="{url}">{_(name)}</a>')
    paragraph = f'<p class="download">{" · ".join(links)}</p>'
    context["body"] = context["body"].replace("</h1>", f"</h1>{paragraph}", 1)


def _add_page_files(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    for name in PAGE_FILES.get(pagename, ()):
        if name.endswith(".css"):
            app.add_css_file(name)
        else:
            app.add_js_file(name, priority=900)


def _show_switch(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Tell the template where the same page lies in the other language."""
    is_english = app.config.language != LOCALE
    # The pages of the API are English only.
    page = "api" if pagename.startswith("api/") or pagename == "py-modindex" else pagename
    folder = context["content_root"] + (LOCALE if is_english else "..")
    context |= {"is_english": is_english, "other_page": f"{folder}/{page}.html"}


def _find_generated(app, config) -> None:
    """What docs/build.py wrote for the pages stands beside their sources."""
    config.html_static_path.append(str(Path(app.srcdir) / "_static"))
    if config.language == LOCALE:
        config.html_title = _("Prune a MobileNetV1-SSD")
        config.html_js_files = ["messages.js", *config.html_js_files]
        # Names of the API lead to its pages, which are English only.
        config.autosummary_generate = False
        config.intersphinx_mapping = {
            "english": ("..", str(Path(app.outdir).parent / "objects.inv"))
        }


def setup(app) -> None:
    app.connect("config-inited", _find_generated)
    app.connect("html-page-context", _add_page_files)
    app.connect("html-page-context", _show_switch)
    app.connect("source-read", _prepare)
    app.connect("html-page-context", _offer_notebook)
