"""What stands beside the slider, and in its place where nobody can move it."""

import pytest

from pruning.dependencies import analyse
from ssd_model.programs import build_detector
from utils.explorer import describe, explore

PATTERN = "conv2d_[1-9].w_0|conv2d_1[0-2].w_0"


@pytest.fixture(scope="module")
def dependencies():
    return analyse(build_detector(4, is_train=False).program)


def test_a_plan_in_words_and_a_picture(dependencies):
    text, png = describe(dependencies, PATTERN, 0.5, channel_multiple=8)
    assert "target_ratio 0.5, 12 filters" in text
    assert "<td>64</td>" in text and "<td>40</td>" in text
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("pattern", "target", "words"),
    [
        ("(", 0.5, "not a regular expression"),
        ("nothing", 0.5, "names look like"),
        ("conv2d_.*", 0.5, "refused: conv2d_22.w_0"),
        ("conv2d_[7-9].w_0", 0.5, "out of reach"),
        ("<b>", 0.5, "&lt;b&gt;"),
    ],
)
def test_why_there_is_no_plan(dependencies, pattern, target, words):
    text, png = describe(dependencies, pattern, target)
    assert words in text and png is None


def test_without_a_screen_the_plan_itself_is_shown(dependencies, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    shown = []
    monkeypatch.setattr("utils.explorer.display", shown.append)
    explore(dependencies, PATTERN, 0.2)
    text, picture = shown
    assert "target_ratio 0.2" in text.data and picture.data.startswith(b"\x89PNG")
