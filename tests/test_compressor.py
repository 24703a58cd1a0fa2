"""The Compressor on a small image: what it prunes, measures, refuses and resumes."""

import numpy as np
import paddle
import pytest

from ssd_model.average_precision import AveragePrecision
from ssd_model.programs import build_program
from ssd_model.weights import read_tensor, save_weights, write_tensor
from utils.checkpoint import CheckpointError
from utils.compressor import Compressor, TrainingError
from utils.config import ConfigError, write_config
from utils.dependencies import PatternError
from utils.fusion import fused
from utils.plan import PlanError
from utils.sensitivity import Sensitivities, SensitivityError

CPU = paddle.CPUPlace()
SIZE = 96


def make_batch(seed: int, images: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.4, (images, 2, 2))
    return {
        "image": rng.normal(size=(images, 3, SIZE, SIZE)).astype("float32"),
        "gt_box": np.concatenate([low, low + 0.4], axis=2).astype("float32"),
        "gt_label": rng.integers(1, 3, (images, 2)).astype("int32"),
        "gt_difficult": np.zeros((images, 2), "int32"),
    }


BATCHES = [make_batch(0), make_batch(1), make_batch(2, images=1)]


class Setup:
    """A network in a scope of its own, and a Compressor on it."""

    def __init__(self, train_reader=BATCHES, optimizer_inside=True, **arguments):
        schedule = paddle.optimizer.lr.CosineAnnealingDecay(1e-3, 6)
        optimizer = paddle.optimizer.Momentum(schedule, 0.9)
        self.train = build_program(3, True, optimizer if optimizer_inside else None, SIZE)
        self.eval = build_program(3, False, image_size=SIZE)
        self.scope = paddle.static.Scope()
        self.executor = paddle.static.Executor(CPU)
        for detector in (self.train, self.eval):
            self.executor.run(detector.startup_program, scope=self.scope)
        self.compressor = Compressor(
            CPU,
            self.scope,
            self.train.program,
            train_reader=train_reader,
            train_fetch_list=[("loss", self.train.loss.name)],
            eval_program=self.eval.program,
            eval_reader=BATCHES,
            eval_fetch_list=[("map", self.eval.map.name)],
            train_optimizer=None if optimizer_inside else optimizer,
            **arguments,
        )


@pytest.fixture
def config(tmp_path):
    def write(start=0, target=0.2, pattern="conv2d_[1-9].w_0", epoch=1, checkpoints="unused"):
        path = tmp_path / "compress.yaml"
        write_config(path, epoch, tmp_path / checkpoints, target, pattern)
        path.write_text(path.read_text().replace("start_epoch: 0", f"start_epoch: {start}"))
        return path

    return write


def weights(setup: Setup) -> dict[str, np.ndarray]:
    names = [p.name for p in setup.eval.program.all_parameters()]
    return {name: read_tensor(setup.scope, name) for name in names}


@pytest.mark.parametrize("optimizer_inside", [True, False])
def test_run_prunes_trains_and_measures(config, optimizer_inside):
    setup = Setup(optimizer_inside=optimizer_inside)
    setup.compressor.config(config(start=1, epoch=2))
    plan = setup.compressor.plan
    history = setup.compressor.run()
    assert [(row["stage"], row["epoch"]) for row in history.rows] == [
        ("baseline", 0), ("trained", 1), ("pruned", 1), ("trained", 2),
    ]  # fmt: skip
    assert history.flops_after == plan.flops < history.flops_before
    assert history.parameters_after == plan.parameters < history.parameters_before
    assert {n: a.shape for n, a in weights(setup).items()} == plan.shapes
    for graph in (setup.compressor.train_graph, setup.compressor.eval_graph):
        shapes = {p.name: tuple(p.shape) for p in graph.program.all_parameters()}
        assert shapes == plan.shapes
    assert len(history.value("map_by_class", "trained")) == 3
    assert list(history.frame()["stage"]) == [row["stage"] for row in history.rows]


def test_map_is_over_the_whole_set(config):
    setup = Setup()
    setup.compressor.config(config(epoch=0))
    reported = setup.compressor.run().value("map", "pruned")
    names = [setup.eval.nmsed_out.name, setup.eval.counts.name]
    expected = AveragePrecision(class_num=3)
    with fused(setup.compressor.eval_graph.program, setup.scope, names) as (program, scope):
        for batch in BATCHES:
            detections, counts = setup.executor.run(
                program, feed=batch, fetch_list=names, scope=scope
            )
            flags = np.stack([batch["gt_label"], batch["gt_difficult"]], axis=2)
            expected.update(detections, counts, np.concatenate([flags, batch["gt_box"]], axis=2))
    assert reported == pytest.approx(expected.value(), abs=1e-6)


def test_readers_without_a_feed_list(config):
    names = list(BATCHES[0])
    feed_list = [(name, name) for name in names]

    def samples():
        for batch in BATCHES:
            yield list(zip(*(batch[name] for name in names), strict=True))

    one, two = Setup(), Setup(train_reader=samples, train_feed_list=feed_list)
    for setup in (one, two):
        setup.compressor.config(config())
        setup.compressor.run()
    for name, array in weights(one).items():
        np.testing.assert_array_equal(array, weights(two)[name], err_msg=name)


class Interrupted:
    """Readers' batches, until the given number of batches has been handed out."""

    def __init__(self, left: int):
        self.left = left

    def __iter__(self):
        for batch in BATCHES:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            yield batch


@pytest.mark.parametrize("batches", [1, 4, 7])
def test_an_interrupted_run_goes_on_to_the_same_end(config, batches):
    whole = Setup()
    whole.compressor.config(config(start=1, epoch=3))
    expected = whole.compressor.run()

    path = config(start=1, epoch=3, checkpoints="checkpoints")
    broken = Setup(train_reader=Interrupted(batches))
    broken.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()

    resumed = Setup()
    resumed.compressor.config(path)
    history = resumed.compressor.run()
    assert history.cuts == expected.cuts
    for row, other in zip(history.rows, expected.rows, strict=True):
        assert row.keys() == other.keys()
        for label in row.keys() - {"seconds"}:
            np.testing.assert_array_equal(row[label], other[label])
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(array, weights(resumed)[name], err_msg=name)


def test_checkpoints_of_another_run_are_refused(config):
    broken = Setup(train_reader=Interrupted(4))
    broken.compressor.config(config(epoch=3, checkpoints="checkpoints"))
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()
    other = Setup()
    other.compressor.config(config(epoch=3, target=0.3, checkpoints="checkpoints"))
    with pytest.raises(CheckpointError, match=r"'target_ratio': 0.2.*'target_ratio': 0.3"):
        other.compressor.run()


def test_other_weights_at_the_start_are_another_run(config):
    path = config(epoch=3, checkpoints="checkpoints")
    broken = Setup(train_reader=Interrupted(4))
    broken.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()
    other = Setup()
    bias = other.scope.find_var("conv2d_23.b_0").get_tensor()
    bias.set(np.ones(bias.shape(), "float32"), CPU)
    other.compressor.config(path)
    with pytest.raises(CheckpointError, match="start weights"):
        other.compressor.run()


def test_a_run_that_has_ended_is_not_repeated(config):
    path = config(checkpoints="checkpoints")
    first = Setup()
    first.compressor.config(path)
    expected = first.compressor.run()
    again = Setup(train_reader=Interrupted(0))
    again.compressor.config(path)
    history = again.compressor.run()
    assert history.value("map", "trained") == expected.value("map", "trained")
    assert history.flops_after == expected.flops_after
    np.testing.assert_array_equal(weights(first)["conv2d_1.w_0"], weights(again)["conv2d_1.w_0"])


def test_init_model_is_loaded(config, tmp_path):
    source = Setup()
    save_weights(source.eval.program, tmp_path / "start.safetensors", source.scope)
    path = config(epoch=0)
    path.write_text(path.read_text() + f"    init_model: '{tmp_path / 'start.safetensors'}'\n")
    setup = Setup()
    name = "conv2d_0.w_0"
    setup.scope.find_var(name).get_tensor().set(np.zeros((32, 3, 3, 3), "float32"), CPU)
    setup.compressor.config(path)
    setup.compressor.run()
    np.testing.assert_array_equal(read_tensor(setup.scope, name), read_tensor(source.scope, name))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"pattern": "nothing"}, PatternError, "matches none"),
        ({"pattern": "conv2d_3.*"}, PatternError, "conv2d_30.w_0"),
        ({"target": 0.99}, PlanError, "out of reach"),
        ({"epoch": 0, "start": 1}, ConfigError, "would never run"),
    ],
)
def test_bad_configs_are_refused_before_anything_changes(config, settings, error, words):
    setup = Setup()
    before = weights(setup)
    with pytest.raises(error, match=words):
        setup.compressor.config(config(**settings))
    after = weights(setup)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_an_unknown_metric_is_refused(config):
    path = config()
    path.write_text(path.read_text().replace("'map'", "'acc_top1'"))
    with pytest.raises(ConfigError, match=r"acc_top1.*\['map'\]"):
        Setup().compressor.config(path)


def test_repair_without_a_reader_is_refused(config):
    path = config(epoch=0)
    key = "        metric_name"
    path.write_text(path.read_text().replace(key, f"        reconstruct_images: 4\n{key}"))
    with pytest.raises(ConfigError, match=r"reconstruct_images is 4, but there is no train_reader"):
        Setup(train_reader=None).compressor.config(path)


def test_a_loss_that_is_no_number_stops_the_run(config):
    def poisoned():
        yield BATCHES[0]
        bias = setup.scope.find_var("conv2d_23.b_0").get_tensor()
        bias.set(np.full(bias.shape(), np.nan, "float32"), CPU)
        yield BATCHES[1]

    setup = Setup(train_reader=poisoned)
    setup.compressor.config(config())
    with pytest.raises(TrainingError, match="loss is nan at epoch 1/1, batch 2"):
        setup.compressor.run()


def test_a_second_run_says_what_to_do(config):
    setup = Setup()
    setup.compressor.config(config())
    setup.compressor.run()
    with pytest.raises(ValueError, match="run the startup program"):
        setup.compressor.run()


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
    assert history.cuts == [setup.compressor.plan.ratios]
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
        (cut,) = setup.compressor.run().cuts
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
        ("baseline", 0), ("pruned", 0), ("trained", 1),
    ]  # fmt: skip
    (second,) = [row["epoch"] for row in expected.rows[3:] if row["stage"] == "pruned"]
    assert (tmp_path / f"sensitivities.json.epoch{second}").exists()
    assert len(expected.cuts) == 2
    assert 1 - expected.flops_after / expected.flops_before == pytest.approx(0.08, abs=0.004)

    path = sensitive(epoch=3, num_steps=2, checkpoints="broken", target=0.08)
    broken = Setup(train_reader=Interrupted(7))
    broken.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()
    resumed = Setup()
    resumed.compressor.config(path)
    assert resumed.compressor.run().cuts == expected.cuts
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(array, weights(resumed)[name], err_msg=name)


def test_the_criterion_and_the_multiple_of_the_config(config):
    path = config(epoch=0)
    text = path.read_text().replace("'l1_norm'", "'bn_scale'")
    path.write_text(text.replace("metric_name", "channel_multiple: 8\n        metric_name"))
    setup = Setup()
    scale = setup.compressor._whole.dependencies.convs["conv2d_1.w_0"].scale
    write_tensor(setup.scope, scale, np.arange(64, dtype="float32"))
    setup.compressor.config(path)
    setup.compressor.run()
    left = read_tensor(setup.scope, scale)
    assert len(left) % 8 == 0
    np.testing.assert_array_equal(left, np.arange(64 - len(left), 64))


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("target_ratio: 0.05", "target_ratio: 0.9", PlanError, "out of reach: 2 layers"),
        ("'*': 'l1_norm'", "'*': 'l1_norm'\n            conv9: 'l1_norm'", ConfigError, "'conv9'"),
        ("conv2d_1[23]", "conv9", PatternError, "matches none"),
    ],
)
def test_bad_sensitive_configs_are_refused(sensitive, old, new, error, words):
    path = sensitive()
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(error, match=words):
        Setup().compressor.config(path)
