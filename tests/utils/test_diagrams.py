"""The diagrams say what the network is."""

import matplotlib.pyplot as plt
import pytest

from pruning.dependencies import analyse
from pruning.plan import Plan
from ssd_model.programs import build_detector
from utils.diagrams import CUT, plot_group, plot_network


@pytest.fixture(scope="module")
def dependencies():
    return analyse(build_detector(11, is_train=False).program)


def words(figure: plt.Figure) -> str:
    return "\n".join(text.get_text() for text in figure.axes[0].texts)


def test_the_network_has_nine_maps_and_six_pairs_of_heads(dependencies):
    shown = words(plot_network(dependencies))
    assert "conv2d_6 to 11\n19x19\n512 channels" in shown
    assert "conv2d_20 to 21\n1x1\n128 channels" in shown
    assert shown.count("channels") == 9
    assert shown.count("x 11 scores") == 6
    assert "1,917 priors in all" in shown


def test_a_cut_goes_on_to_every_reader(dependencies):
    figure = plot_group(Plan(dependencies, {"conv2d_11.w_0": 0.25}), "conv2d_11.w_0")
    shown = words(figure)
    assert "512x512 → 384x512\noutputs go" in shown
    assert "1024x512 → 1024x384\ninputs go" in shown
    assert shown.count("rows: inputs") == 3  # the next convolution and two heads
    red = [
        p for p in figure.axes[0].patches if p.get_facecolor() == plt.matplotlib.colors.to_rgba(CUT)
    ]
    assert len(red) * 4 == len(figure.axes[0].patches)


def test_a_filter_that_the_plan_keeps(dependencies):
    with pytest.raises(KeyError):
        plot_group(Plan(dependencies, {}), "conv2d_3.w_0")
