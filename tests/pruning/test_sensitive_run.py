"""The Compressor with a SensitivePruneStrategy: measured once, cut in one step or several."""

import numpy as np
import pytest

from pruning.config import ConfigError, write_config
from pruning.pattern import PatternError
from pruning.plan import PlanError
from pruning.sensitivity import Sensitivities, SensitivityError
from ssd_model.scope import read_tensor, write_tensor
from tests.helpers.small_run import Interrupted, Setup, weights


@pytest.fixture
def sensitive(tmp_path):
    def write(epoch=0, checkpoints="unused", pattern="conv2d_1[23].w_0", target=0.05, **keys):
        path, file = tmp_path / "compress.yaml", str(tmp_path / "sensitivities.json")
        keys = {"delta_rate": 0.5, "eval_rate": 0.4, "sensitivities_file": file, **keys}
        strategy = "SensitivePruneStrategy"
        write_config(path, epoch, tmp_path / checkpoints, target, pattern, strategy, **keys)
        return path

    return write


def test_sensitive_pruning_in_one_step(sensitive, tmp_path):
    path = sensitive()
    setup = Setup()
    setup.compressor.config(path)
    assert setup.compressor.plan is None
    history = setup.compressor.run()
    assert [row["stage"] for row in history.rows] == ["baseline", "pruned"]
    assert 1 - history.flops_after / history.flops_before == pytest.approx(0.05, abs=0.002)
    assert history.ratios == [setup.compressor.plan.ratios]
    found = Sensitivities.load(tmp_path / "sensitivities.json")
    assert {name: sorted(lost) for name, lost in found.lost.items()} == {
        "conv2d_12.w_0": [0.5],
        "conv2d_13.w_0": [0.5],
    }
    other = Setup()
    write_tensor(other.scope, "conv2d_3.w_0", read_tensor(other.scope, "conv2d_3.w_0") * 2)
    other.compressor.config(path)
    with pytest.raises(SensitivityError, match="another network"):
        other.compressor.run()


def test_losses_measured_before_are_not_measured_again(sensitive, tmp_path):
    file = tmp_path / "sensitivities.json"
    for checkpoints in ("first", "second"):
        setup = Setup()
        setup.compressor.config(sensitive(checkpoints=checkpoints))
        (cut,) = setup.compressor.run().ratios
        found = Sensitivities.load(file)
        found.lost["conv2d_12.w_0"] = {0.5: 0.9}
        found.save(file)
    assert cut["conv2d_12.w_0"] < 0.01 < cut["conv2d_13.w_0"]
    again = Setup()
    again.compressor.config(sensitive(checkpoints="second"))
    again.compressor.run()
    assert again.compressor.plan.ratios == cut


def test_sensitive_pruning_in_steps_goes_on_where_it_stopped(sensitive, tmp_path):
    path = sensitive(epoch=3, num_steps=2, checkpoints="whole", target=0.08)
    whole = Setup()
    whole.compressor.config(path)
    expected = whole.compressor.run()
    assert [(row["stage"], row["epoch"]) for row in expected.rows][:3] == [
        ("baseline", 0), ("pruned", 0), ("finetuned", 1),
    ]  # fmt: skip
    (second,) = [row["epoch"] for row in expected.rows[3:] if row["stage"] == "pruned"]
    assert (tmp_path / f"sensitivities.json.epoch{second}").exists()
    assert len(expected.ratios) == 2
    assert 1 - expected.flops_after / expected.flops_before == pytest.approx(0.08, abs=0.004)

    path = sensitive(epoch=3, num_steps=2, checkpoints="broken", target=0.08)
    broken = Setup(train_reader=Interrupted(7))
    broken.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()
    resumed = Setup()
    resumed.compressor.config(path)
    assert resumed.compressor.run().ratios == expected.ratios
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(array, weights(resumed)[name], err_msg=name)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("target_ratio: 0.05", "target_ratio: 0.9", PlanError, "out of reach: 2 layers"),
        ("'*': l1_norm", "'*': l1_norm\n            conv9: l1_norm", ConfigError, "'conv9'"),
        ("conv2d_1[23]", "conv9", PatternError, "matches none"),
    ],
)
def test_bad_sensitive_configs_are_refused(sensitive, old, new, error, words):
    path = sensitive()
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(error, match=words):
        Setup().compressor.config(path)
