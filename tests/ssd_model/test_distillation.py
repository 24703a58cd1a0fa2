"""The distillation loss, and readers that carry a teacher's answers."""

import cloudpickle
import numpy as np
import paddle
import pytest

from ssd_model.data.readers import set_epoch
from ssd_model.distillation import distillation_loss
from ssd_model.programs import TEACHER_FEEDS, build_detector
from ssd_model.teacher import TaughtReader
from utils.training import start_scope

LN3 = np.log(3)


def run_loss(location, confidence, teacher_location, teacher_confidence):
    """The loss, and its gradients to the pupil's and the teacher's confidences."""
    program = paddle.static.Program()
    arrays = [location, confidence, teacher_location, teacher_confidence]
    feed = {f"x{i}": np.array(array, "float32") for i, array in enumerate(arrays)}
    with paddle.static.program_guard(program, paddle.static.Program()):
        data = [paddle.static.data(name, array.shape) for name, array in feed.items()]
        for var in data:
            var.stop_gradient = False
        loss = distillation_loss(*data)
        gradients = paddle.static.gradients(loss, [data[1], data[3]])
    fetches = [loss] + [gradient for gradient in gradients if gradient is not None]
    return paddle.static.Executor().run(program, feed=feed, fetch_list=fetches)


def test_by_hand():
    """Teacher 1/2, 1/2; pupil 3/4, 1/4: the divergence is ln(4/3) / 2, and half an object is seen.

    Offsets are off by 1/2 and 2: smooth L1 gives 1/8 and 3/2. The second image agrees.
    """
    zeros = [[0.0] * 4]
    loss, *gradients = run_loss(
        [[[0.5, -2.0, 0, 0]], zeros], [[[LN3, 0]], [[0, 0]]], [zeros, zeros], np.zeros((2, 1, 2))
    )
    expected = np.log(4 / 3) / 2 + 0.5 * (1 / 8 + 3 / 2)  # two halves make one object
    np.testing.assert_allclose(loss, [[expected], [0]], rtol=1e-5, atol=1e-7)
    assert len(gradients) == 1, "the teacher gets no gradient"
    np.testing.assert_allclose(gradients[0][0], [[0.25, -0.25]], rtol=1e-5)  # q - p


def test_background_is_not_divided_by_nothing():
    sure = np.array([[[30.0, 0.0]]])
    loss, *_ = run_loss(np.zeros((1, 1, 4)), np.zeros((1, 1, 2)), np.zeros((1, 1, 4)), sure)
    np.testing.assert_allclose(loss, [[np.log(2)]], rtol=1e-5)


def test_only_training_has_a_teacher():
    with pytest.raises(ValueError, match="teacher"):
        build_detector(3, is_train=False, teacher=True)


def test_taught_reader():
    size = 64
    training = build_detector(3, True, image_size=size, teacher=True)
    evaluation = build_detector(3, False, image_size=size)
    scope = start_scope(training, evaluation)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.normal(size=(2, 3, size, size)).astype("float32"),
        "gt_box": np.array([[[0.1, 0.1, 0.6, 0.6]], [[0, 0, 0, 0]]], "float32"),
        "gt_label": np.array([[1], [-1]], "int32"),
        "gt_difficult": np.zeros((2, 1), "int32"),
    }
    reader = TaughtReader([batch], evaluation, scope)
    (feed,) = reader
    assert set(feed) == {*batch, *TEACHER_FEEDS}
    (copied,) = cloudpickle.loads(cloudpickle.dumps(reader))  # as a worker gets it
    for name, answer in feed.items():
        np.testing.assert_array_equal(copied[name], answer)
    executor = paddle.static.Executor()
    answers = executor.run(
        evaluation.program,
        feed=batch,
        fetch_list=[evaluation.location, evaluation.confidence],
        scope=scope,
    )
    for name, answer in zip(TEACHER_FEEDS, answers, strict=True):
        np.testing.assert_allclose(feed[name], answer, rtol=1e-4, atol=1e-5)
    (loss,) = executor.run(training.program, feed=feed, fetch_list=[training.loss], scope=scope)
    assert np.isfinite(loss)


def test_taught_reader_passes_the_epoch_on():
    class Sampler:
        epoch = None

        def set_epoch(self, epoch):
            self.epoch = epoch

    class Loader(list):
        batch_sampler = Sampler()

    evaluation = build_detector(3, False, image_size=64)
    set_epoch(TaughtReader(Loader(), evaluation, None), 5)
    assert Loader.batch_sampler.epoch == 5
