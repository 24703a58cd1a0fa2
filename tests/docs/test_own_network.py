"""The program of the page "Your own network" prunes a ResNet, as the page says."""

import re
import subprocess
import sys

import pytest

from utils.paths import ROOT

PAGE = (ROOT / "docs" / "own_network.md").read_text()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    # Only pruning's own import sets Paddle up.
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_resnet_is_pruned_and_learns(done):
    _, said = done
    assert "together: conv2d_2.w_0 with conv2d_0.w_0, conv2d_4.w_0 with conv2d_0.w_0" in said
    saved = re.search(r"FLOPs [\d.]+ G -> [\d.]+ G \((-[\d.]+)%\)", said)
    assert abs(float(saved[1]) + 40) < 2
    accuracy = re.search(r"epoch 1/1: loss [\d.]+, accuracy ([\d.]+)", said)
    assert float(accuracy[1]) > 0.9


def test_it_is_saved(done):
    folder, _ = done
    assert {"pruned.pdmodel", "pruned.pdiparams", "compress.yaml"} <= {
        path.name for path in folder.iterdir()
    }


def test_the_table_names_every_operator_that_is_followed():
    from pruning.channel_rules import RULES

    # Those that go by a family's name, and those that only look at a map's size.
    families = {
        *("sync_batch_norm", "affine_channel", "softmax", "split", "feed", "shape"),
        *("fill_constant_batch_size_like", "prior_box", "density_prior_box", "anchor_generator"),
        *("flatten_contiguous_range", "flatten2", "nearest_interp", "nearest_interp_v2"),
        *("bilinear_interp", "bilinear_interp_v2"),
    }
    activations = {
        *("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "swish", "hard_swish", "mish"),
        *("sigmoid", "hard_sigmoid", "tanh", "softplus", "exp", "sqrt", "abs", "square"),
    }
    named = set(re.findall(r"`(\w+)`", PAGE[PAGE.index("## What is followed") :]))
    assert RULES.keys() - families - activations <= named
