"""Plots of any classes, on any images."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from docs.plot_words import draw
from utils.plots import plot_ap_by_class, plot_images

LONG = "a name of sixty characters that goes on and on and on and on"
STAGES = ("baseline", "finetuned", "control")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def sizes(figure):
    figure.canvas.draw()
    return [axes.get_window_extent().bounds[2:] for axes in figure.axes]


def test_no_name_makes_an_image_smaller():
    images = [Image.new("RGB", (400, 300))] * 6
    boxes = np.array([[1, 0.9, -0.2, -0.1, 0.4, 0.5], [2, 0.8, 0.7, 0.3, 1.2, 1.0]])
    want = sizes(plot_images(images, [boxes[:0]] * 6, [LONG, "b"]))
    figure = plot_images(images, [boxes] * 6, [LONG, "b"])
    np.testing.assert_allclose(sizes(figure), want)
    for text in figure.axes[0].texts:
        written, image = text.get_window_extent(), figure.axes[0].get_window_extent()
        assert image.x0 - 2 <= written.x0 and written.x1 <= image.x1 + 2
        assert image.y0 - 2 <= written.y0 and written.y1 <= image.y1 + 2
        assert text.get_text().endswith(("0.90", "0.80"))


def by_stage(count):
    return {key: [0.0, *np.linspace(0, 1, count)] for key in STAGES}


@pytest.mark.parametrize("count", [20, 80])
def test_the_names_of_classes_do_not_overlap(count):
    figure = plot_ap_by_class([f"traffic sign {i}" for i in range(count)], by_stage(count))
    figure.canvas.draw()
    axes = figure.axes[0]
    labels = [label.get_window_extent() for label in axes.get_xticklabels()]
    if count == 80:  # upright; those of 20 lie aslant, each behind the one before
        assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(labels))
    assert axes.get_window_extent().height > 0.35 * figure.bbox.height


def test_a_long_name_leaves_room_for_the_bars():
    figure = plot_ap_by_class(["a", LONG], by_stage(2))
    assert sizes(figure)[0][1] > 0.35 * figure.bbox.height


def test_a_class_without_ap_is_left_out():
    values = {stage: [0.0, 0.5, None, 0.7] for stage in STAGES}
    axes = plot_ap_by_class(["a", "b", "c"], values).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "c"]
    assert len(axes.patches) == 2 * len(STAGES)


@pytest.mark.parametrize("name", ["control", "new words 5", "car \u0378 two"])
def test_no_name_of_a_class_is_translated(name):
    images = [Image.new("RGB", (40, 30))]
    for figure in (
        plot_ap_by_class([name], by_stage(1)),
        plot_images(images, [np.array([[1, 0.9, 0.1, 0.1, 0.4, 0.5]])], [name]),
    ):
        assert draw(figure)["lacking"] == []
        texts = [text.get_text() for text in figure.axes[0].texts]
        texts += [label.get_text() for label in figure.axes[0].get_xticklabels()]
        assert any(name[:3] in text for text in texts)


def test_a_large_photograph_is_drawn_small_with_its_box_in_place():
    photo = Image.new("RGB", (6000, 3000))
    figure = plot_images([photo], [np.array([[1, 0.9, 0.25, 0.5, 0.75, 1.0]])], ("cat",))
    axes = figure.axes[0]
    assert axes.images[0].get_array().shape == (500, 1000, 3) and photo.size == (6000, 3000)
    (box,) = axes.patches
    assert (box.get_xy(), box.get_width(), box.get_height()) == ((250, 250), 500, 250)
