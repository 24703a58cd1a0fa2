"""The Compressor on a small image: what it prunes, measures and refuses."""

import numpy as np
import paddle
import pytest

from pruning.compressor import Compressor
from pruning.config import ConfigError
from pruning.dependencies import analyse
from pruning.pattern import PatternError
from pruning.plan import PlanError
from ssd_model.average_precision import AveragePrecision
from ssd_model.fusion import fused
from ssd_model.scope import read_tensor, write_tensor
from ssd_model.training_pass import TrainingError
from tests.helpers.small_run import BATCHES, Setup, weights

CPU = paddle.CPUPlace()


@pytest.mark.parametrize("optimizer_inside", [True, False])
def test_run_prunes_trains_and_measures(config, optimizer_inside):
    setup = Setup(optimizer_inside=optimizer_inside)
    setup.compressor.config(config(start=1, epoch=2))
    plan = setup.compressor.plan
    history = setup.compressor.run()
    assert [(row["stage"], row["epoch"]) for row in history.rows] == [
        ("baseline", 0), ("finetuned", 1), ("pruned", 1), ("finetuned", 2),
    ]  # fmt: skip
    assert history.flops_after == plan.flops < history.flops_before
    assert history.parameters_after == plan.parameters < history.parameters_before
    assert {n: a.shape for n, a in weights(setup).items()} == plan.shapes
    for graph in (setup.compressor.train_graph, setup.compressor.eval_graph):
        shapes = {p.name: tuple(p.shape) for p in graph.program.all_parameters()}
        assert shapes == plan.shapes
    assert len(history.value("map_by_class", "finetuned")) == 3
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
    path.write_text(path.read_text().replace("metric_name: map", "metric_name: acc_top1"))
    with pytest.raises(ConfigError, match=r"acc_top1.*\['map'\]"):
        Setup().compressor.config(path)


def test_reconstruction_without_a_reader_is_refused(config):
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


def test_fetch_lists_that_cannot_be_told_apart_are_refused():
    setup = Setup()
    loss, metric = setup.train.loss.name, setup.eval.map.name

    def compressor(train_fetch_list, label, **arguments):
        evaluation = {"eval_program": setup.eval.program, "eval_reader": BATCHES}
        fetches = {"train_fetch_list": train_fetch_list, "eval_fetch_list": [(label, metric)]}
        return Compressor(
            CPU, setup.scope, setup.train.program, **evaluation, **fetches, **arguments
        )

    for label in ("loss", "epoch"):
        with pytest.raises(ValueError, match=f"'{label}' twice, or it is one of"):
            compressor([("loss", loss)], label)
    with pytest.raises(ValueError, match="name a loss"):
        compressor(None, "map", train_optimizer=paddle.optimizer.Momentum(1e-3, 0.9))


def test_a_second_run_says_what_to_do(config):
    setup = Setup()
    setup.compressor.config(config())
    setup.compressor.run()
    with pytest.raises(ValueError, match="run the startup program"):
        setup.compressor.run()


def test_the_criterion_and_the_multiple_of_the_config(config):
    path = config(epoch=0)
    text = path.read_text().replace("l1_norm", "bn_scale")
    path.write_text(text.replace("metric_name", "channel_multiple: 8\n        metric_name"))
    setup = Setup()
    scale = analyse(setup.eval.program).convs["conv2d_1.w_0"].scale
    write_tensor(setup.scope, scale, np.arange(64, dtype="float32"))
    setup.compressor.config(path)
    setup.compressor.run()
    left = read_tensor(setup.scope, scale)
    assert len(left) % 8 == 0
    np.testing.assert_array_equal(left, np.arange(64 - len(left), 64))
