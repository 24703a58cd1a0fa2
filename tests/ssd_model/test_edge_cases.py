"""Data at the edge: no ground truth, one image, one class, crowds, odd batches, a NaN."""

import numpy as np
import paddle
import pytest

from pruning.config import write_config
from ssd_model.data.augment import Augmentation
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.evaluation import evaluate
from ssd_model.optimizers import one_cycle
from ssd_model.programs import build_detector
from ssd_model.scope import read_tensor
from ssd_model.training_pass import TrainingError
from ssd_model.weights import read_tensors
from tests.helpers.small_run import SIZE, Setup
from tests.helpers.voc_folder import CAT, add_image, annotation_xml, make_voc, object_xml, write_set
from utils.training import train

CPU = paddle.CPUPlace()


class Network:
    """A detector of two classes, to train and to evaluate."""

    def __init__(self):
        optimizer = paddle.optimizer.Momentum(1e-3, 0.9)
        self.train = build_detector(3, True, optimizer, SIZE)
        self.eval = build_detector(3, False, image_size=SIZE)
        self.scope = paddle.static.Scope()
        self.executor = paddle.static.Executor(CPU)
        for detector in (self.eval, self.train):
            self.executor.run(detector.startup_program, scope=self.scope)

    def step(self, batch: dict) -> float:
        """Train on a batch; the loss before."""
        (loss,) = self.executor.run(
            self.train.program, feed=batch, fetch_list=[self.train.loss.name], scope=self.scope
        )
        return float(loss)

    def measure(self, reader) -> dict:
        fetch_list = [("map", self.eval.map.name)]
        return evaluate(self.executor, self.eval.program, reader, fetch_list, scope=self.scope)

    def finite(self) -> bool:
        names = [p.name for p in self.train.program.all_parameters()]
        return all(np.isfinite(read_tensor(self.scope, name)).all() for name in names)


@pytest.fixture(scope="module")
def network():
    return Network()


def batch_of(boxes: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """One image of noise with boxes [M, 4] of classes [M]; a class of -1 is padding."""
    image = np.random.default_rng(0).normal(size=(1, 3, SIZE, SIZE)).astype("float32")
    return {
        "image": image,
        "gt_box": boxes[None].astype("float32"),
        "gt_label": labels[None].astype("int32"),
        "gt_difficult": np.zeros((1, len(labels)), "int32"),
    }


def test_a_batch_without_ground_truth_teaches_nothing(network):
    empty = batch_of(np.zeros((1, 4)), np.array([-1]))
    assert network.step(empty) == 0
    assert network.finite()
    measured = network.measure([empty])
    assert measured["map"] == 0
    assert np.isnan(measured["map_by_class"]).all()


def test_more_objects_than_prior_boxes(network):
    priors = network.train.location.shape[1]
    low = np.random.default_rng(0).uniform(0, 0.8, (priors + 50, 2))
    crowd = batch_of(np.concatenate([low, low + 0.15], axis=1), np.full(priors + 50, 2))
    assert 0 < network.step(crowd) < 1000
    assert network.finite()
    assert 0 <= network.measure([crowd])["map"] <= 1


def test_a_class_that_the_test_images_do_not_show_is_left_out_of_the_mean(network):
    batch = batch_of(np.array([[0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.9]]), np.array([1, 1]))
    measured = network.measure([batch])
    _, shown, absent = measured["map_by_class"]
    assert np.isnan(absent) and measured["map"] == pytest.approx(shown)


def test_the_map_does_not_depend_on_how_the_images_are_batched(network, tmp_path):
    names = [f"{i:03}" for i in range(5)]
    for i, name in enumerate(names):
        box = object_xml("cat" if i % 2 else "dog", 10 * i, 5, 10 * i + 50, 45)
        add_image(tmp_path, name, box, color=(50 * i, 90, 200))
    write_set(tmp_path, "trainval", names)
    write_set(tmp_path, "test", names)
    split = read_data(tmp_path, "test")

    def measure(batch_size: int) -> dict:
        return network.measure(
            make_loader(split, network.eval.feed_list, batch_size, image_size=SIZE)
        )

    alone = measure(1)
    for batch_size in (2, 3, 8):  # with a last batch of 1, of 2, and one batch of all
        assert measure(batch_size)["map"] == pytest.approx(alone["map"], abs=1e-3)
        np.testing.assert_allclose(
            measure(batch_size)["map_by_class"], alone["map_by_class"], atol=1e-3
        )


def test_one_image_of_one_class(tmp_path):
    voc = make_voc(tmp_path / "voc", ["a"], ["a"])
    trained = train(
        read_data(voc, "trainval"), read_data(voc, "test"), one_cycle(1e-3, 2), 2,
        tmp_path / "checkpoints", augmentation=Augmentation(), batch_size=8, image_size=SIZE,
    )  # fmt: skip
    assert [row["epoch"] for row in trained.history.rows] == [0, 1, 2]
    assert np.isfinite([row["loss"] for row in trained.history.rows[1:]]).all()
    assert len(trained.history.value("map_by_class", "finetuned")) == 2
    assert 0 <= trained.history.value("map", "finetuned") <= 1


def test_images_without_objects_among_others(network, tmp_path):
    voc = make_voc(tmp_path, "abc", ["d"])
    for name in "ab":
        (voc / f"Annotations/{name}.xml").write_text(annotation_xml())
    (voc / "Annotations/c.xml").write_text(annotation_xml(*[object_xml(*CAT)] * 70))
    split = read_data(voc, "trainval")
    loader = make_loader(
        split, network.train.feed_list, 1, augmentation=Augmentation(), image_size=SIZE
    )
    losses = [network.step(feed[0]) for feed in loader]
    assert losses[:2] == [0, 0] and losses[2] > 0
    assert network.finite()


def test_a_nan_ends_the_run_and_leaves_the_checkpoint_before_it(tmp_path):
    passes = []

    def reader():
        passes.append(None)
        batch = batch_of(np.array([[0.1, 0.1, 0.5, 0.5]]), np.array([1]))
        if len(passes) == 3:
            batch["image"][0, 0, 0, 0] = np.nan
        yield batch

    setup = Setup(train_reader=reader)
    write_config(tmp_path / "compress.yaml", 4, tmp_path / "checkpoints")
    setup.compressor.config(tmp_path / "compress.yaml")
    # relu hides the nan from the loss, but not from the first layer and the batch norms
    words = r"conv2d_0\.w_0 is no longer finite after epoch 3/4"
    with pytest.raises(TrainingError, match=words):
        setup.compressor.run()
    arrays, _ = read_tensors(tmp_path / "checkpoints/epoch-0002.safetensors")
    assert all(np.isfinite(array).all() for array in arrays.values())
    # Such a network can still be evaluated: what it finds is worth nothing, but no error
    poisoned = evaluate(
        setup.executor, setup.eval.program, reader(), [("map", setup.eval.map.name)],
        scope=setup.scope,
    )  # fmt: skip
    assert 0 <= poisoned["map"] < 0.1
