"""The Compressor with criteria that are measured, and with a budget over the layers."""

import numpy as np
import pytest

from pruning.compressor import Compressor
from pruning.config import ConfigError, load_config, write_config
from pruning.dependencies import analyse
from pruning.layer_samples import ScopedProgram
from pruning.plan import PlanError
from pruning.selection import measure_eliminations
from ssd_model.scope import read_tensor
from tests.helpers.small_run import BATCHES, CPU, Interrupted, Setup, make_batch, weights

PATTERN = "conv2d_1[0-2].w_0"


@pytest.fixture
def ranked(tmp_path):
    def write(criterion="reconstruction", target=0.05, epoch=0, checkpoints="unused", **keys):
        path = tmp_path / "compress.yaml"
        keys = {"reconstruct_images": 4, **keys}
        write_config(
            path, epoch, tmp_path / checkpoints, target, PATTERN, criterion=criterion, **keys
        )
        return path

    return write


def test_the_channels_that_matter_least_go(ranked):
    setup = Setup()
    network = ScopedProgram(setup.eval.program, setup.scope)
    images = [batch["image"] for batch in BATCHES[:2]]
    found = measure_eliminations(network, analyse(setup.eval.program), ["conv2d_12.w_0"], images)
    order = found["conv2d_12.w_0"].order
    before = weights(setup)
    setup.compressor.config(ranked())
    history = setup.compressor.run()
    assert [row["stage"] for row in history.rows] == ["baseline", "pruned", "reconstructed"]
    gone = setup.compressor.plan.channels_removed("conv2d_12.w_0")
    kept = np.delete(np.arange(len(order)), order[:gone])
    behind = "depthwise_conv2d_12.w_0"  # is not refitted
    np.testing.assert_array_equal(read_tensor(setup.scope, behind), before[behind][kept])


def test_taylor_ranks_and_moves_nothing(ranked):
    setup = Setup()
    before = weights(setup)
    setup.compressor.config(ranked("taylor"))
    setup.compressor.run()
    left = weights(setup)
    assert left["conv2d_12.w_0"].shape[0] < before["conv2d_12.w_0"].shape[0]
    for name in ("conv2d_0.w_0", "conv2d_9.w_0"):  # nothing was trained, no statistics moved
        np.testing.assert_array_equal(left[name], before[name])


def test_a_budget_cuts_layers_by_what_they_can_spare(ranked):
    setup = Setup()
    setup.compressor.config(ranked(strategy="BudgetPruneStrategy", target=0.08))
    assert setup.compressor.plan is None
    history = setup.compressor.run()
    saved = 1 - history.flops_after / history.flops_before
    assert saved == pytest.approx(0.08, abs=0.01)
    (ratios,) = history.ratios
    assert len(set(ratios.values())) > 1
    again = Setup()
    again.compressor.config(ranked(strategy="BudgetPruneStrategy", target=0.08))
    assert again.compressor.run().ratios == [ratios]


def test_a_budget_of_milliseconds(ranked, monkeypatch):
    """Where conv2d_11 alone takes time, as told, it alone is cut, by a multiple of 8 channels."""

    def cost(network, dependencies, multiple):
        assert multiple == 8
        return lambda name, shape: float(shape[0]) if name == "conv2d_11.w_0" else 0.0

    monkeypatch.setattr("pruning.strategies.latency_cost", cost)
    keys = {"strategy": "BudgetPruneStrategy", "budget": "milliseconds", "channel_multiple": 8}
    setup = Setup()
    setup.compressor.config(ranked(target=0.5, **keys))
    (ratios,) = setup.compressor.run().ratios
    assert {name: ratio for name, ratio in ratios.items() if ratio} == {"conv2d_11.w_0": 0.5}
    with pytest.raises(ConfigError, match="budget"):
        ranked(strategy="BudgetPruneStrategy", budget="hours")


def test_a_run_that_was_stopped_resumes_with_the_same_cut(ranked):
    keys = {"strategy": "BudgetPruneStrategy", "target": 0.08, "epoch": 2}
    whole = Setup()
    whole.compressor.config(ranked(checkpoints="whole", **keys))
    expected = whole.compressor.run()
    stopped = Setup(Interrupted(7))  # two to measure on, three of the first epoch, two more
    stopped.compressor.config(ranked(checkpoints="stopped", **keys))
    with pytest.raises(KeyboardInterrupt):
        stopped.compressor.run()
    resumed = Setup()
    resumed.compressor.config(ranked(checkpoints="stopped", **keys))
    assert resumed.compressor.run().ratios == expected.ratios
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(read_tensor(resumed.scope, name), array, err_msg=name)


@pytest.mark.parametrize("criterion", ["reconstruction", "taylor"])
def test_what_is_measured_needs_images(ranked, criterion):
    with pytest.raises(ConfigError, match=rf"{criterion} is measured .* reconstruct_images"):
        Setup().compressor.config(ranked(criterion, reconstruct_images=0))


def test_a_budget_needs_its_criterion(ranked):
    with pytest.raises(ConfigError, match="needs the criterion reconstruction"):
        Setup().compressor.config(ranked("l1_norm", strategy="BudgetPruneStrategy"))


def test_a_budget_that_is_out_of_reach(ranked):
    with pytest.raises(PlanError, match=r"out of reach: 3 matched"):
        Setup().compressor.config(ranked(strategy="BudgetPruneStrategy", target=0.9))


def test_taylor_needs_gradients(ranked):
    setup = Setup()
    program, metrics = setup.eval.program, [("map", setup.eval.map.name)]
    readers = {"train_reader": BATCHES, "eval_program": program, "eval_reader": BATCHES}
    untrained = Compressor(CPU, setup.scope, program, eval_fetch_list=metrics, **readers)
    with pytest.raises(ConfigError, match=r"gradient of conv2d_10.w_0"):
        untrained.config(ranked("taylor"))


def test_validation_images_decide(ranked, tmp_path):
    """Sensitivities are measured on them, and the eval images are read for results alone."""
    keys = {"strategy": "SensitivePruneStrategy", "delta_rate": 0.5, "criterion": "l1_norm"}
    keys |= {"sensitivities_file": str(tmp_path / "sensitivities.json"), "target": 0.02}
    asked = []

    class Counted(list):
        def __iter__(self):
            asked.append(len(self))
            return super().__iter__()

    setup = Setup(validation_reader=Counted([make_batch(5)]))
    setup.compressor.config(ranked(reconstruct_images=0, **keys))
    setup.compressor.run()
    assert len(asked) == 4  # nothing cut, and each of three layers


def test_the_config_names_them(ranked):
    path = ranked("taylor")
    assert load_config(path).strategies[0].criterions == {"*": "taylor"}
    path.write_text(path.read_text().replace("taylor", "tailor"))
    with pytest.raises(ConfigError, match="tailor"):
        load_config(path)
