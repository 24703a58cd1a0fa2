"""Names of classes in plots: letters of all scripts, or their numbers; never boxes, no warning."""

import warnings
from importlib.util import find_spec
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from ssd_model import fonts
from ssd_model.fonts import BASE_FONT, PACKAGES, in_pieces, shown
from utils import plots

NAMES = ["停车标志", "साइकिल", "می\u200cرود", "全角\u3000空格", "🚗", "ไทย", "क्\u200dष", "cat", "é"]


@pytest.fixture(autouse=True)
def plain_settings():
    fonts._entries.cache_clear()
    in_pieces.cache_clear()
    with plt.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")
    fonts._entries.cache_clear()
    in_pieces.cache_clear()


@pytest.fixture(params=["as installed", "no font but matplotlib's"])
def machine(request, monkeypatch):
    if request.param != "as installed":
        monkeypatch.setattr(fonts, "PACKAGES", ())
        own = [entry for entry in fonts._entries() if entry.name.startswith("DejaVu")]
        monkeypatch.setattr(fonts, "_entries", lambda: own)


def test_plots_of_any_class(machine):
    """A glyph that no font has would be a warning, and here an error."""
    classes = [f"{name}{i}" for i, name in enumerate(NAMES)]
    plots.plot_ap_by_class(classes, {"baseline": [0] * (len(classes) + 1)}).canvas.draw()
    boxes = np.array([[label, 0.5, 0.1, 0.1, 0.9, 0.9] for label in range(1, len(classes) + 1)])
    figure = plots.plot_images([Image.new("RGB", (90, 60))], [boxes], classes, ["标题"])
    figure.canvas.draw()


def test_letters_without_a_font_are_told_by_number(monkeypatch):
    monkeypatch.setattr(fonts, "_entries", lambda: [])
    assert shown(["停a", "🚗", "cat"]) == [r"\u505ca", r"\U0001f697", "cat"]


def test_pieces_of_a_text(machine):
    for name in NAMES:
        pieces = in_pieces(f"{name} 0.87")
        assert all(not fonts._lacking(text, path) for text, path in pieces), name
        assert all(one[1] != two[1] for one, two in pairwise(pieces)), name
    assert in_pieces("cat 0.87") == (("cat 0.87", BASE_FONT),)


def test_pieces_without_a_font_are_told_by_number(monkeypatch):
    monkeypatch.setattr(fonts, "_entries", lambda: [])
    assert in_pieces("a停 0.87") == ((r"a\u505c 0.87", BASE_FONT),)


def test_latin_names_change_no_setting(monkeypatch):
    monkeypatch.setattr(fonts, "_entries", lambda: pytest.fail("no font is needed"))
    before = [*plt.rcParams["font.family"]]
    assert shown(["cat", "straße", "ключ", "$x$", "50 %"]) == [
        "cat",
        "straße",
        "ключ",
        "$x$",
        "50 %",
    ]
    assert plt.rcParams["font.family"] == before


@pytest.mark.skipif(not all(map(find_spec, PACKAGES)), reason="without the packages of fonts")
def test_the_packages_have_all_letters():
    assert shown(NAMES) == NAMES
    families = plt.rcParams["font.family"]
    assert families[0] == "sans-serif" and len(families) == len({*families}) > 3
    assert shown(NAMES) == NAMES
    assert plt.rcParams["font.family"] == families
    for name in NAMES:
        assert "".join(text for text, _ in in_pieces(name)) == name
