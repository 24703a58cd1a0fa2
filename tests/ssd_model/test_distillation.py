"""Both losses of a pupil, and readers that carry a teacher's lesson."""

import cloudpickle
import numpy as np
import paddle
import pytest

from pruning.cut import apply_plan
from pruning.dependencies import analyse
from pruning.plan import Plan
from ssd_model.data.readers import set_epoch
from ssd_model.distillation import distillation_loss, feature_loss
from ssd_model.programs import TEACHER_FEED, build_detector
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


def test_features_by_hand():
    """The teacher's square is 4 + 1, the pupil off by 1 and 2: by 5 / 5, on each of two maps."""
    own = np.array([[[1.0], [3.0]], [[2.0], [1.0]]], "float32")
    teachers = np.array([[[2.0], [1.0]], [[2.0], [1.0]]], "float32")
    program = paddle.static.Program()
    with paddle.static.program_guard(program, paddle.static.Program()):
        data = [paddle.static.data(name, own.shape) for name in ("own", "teacher")]
        loss = feature_loss(*([variable, variable] for variable in data))
    feed = {"own": own, "teacher": teachers}
    (loss,) = paddle.static.Executor().run(program, feed=feed, fetch_list=[loss])
    np.testing.assert_allclose(loss, [[1], [0]], rtol=1e-6)


def test_only_training_has_a_teacher():
    with pytest.raises(ValueError, match="teacher"):
        build_detector(3, is_train=False, teacher="outputs")
    with pytest.raises(ValueError, match="teacher is True: say what to learn, one of"):
        build_detector(3, is_train=True, teacher=True)


@pytest.mark.parametrize("lesson", ["outputs", "features"])
def test_taught_reader(lesson):
    size = 64
    training = build_detector(3, True, image_size=size, teacher=lesson)
    evaluation = build_detector(3, False, image_size=size)
    scope = start_scope(training, evaluation)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.normal(size=(2, 3, size, size)).astype("float32"),
        "gt_box": np.array([[[0.1, 0.1, 0.6, 0.6]], [[0, 0, 0, 0]]], "float32"),
        "gt_label": np.array([[1], [-1]], "int32"),
        "gt_difficult": np.zeros((2, 1), "int32"),
    }
    reader = TaughtReader([batch], evaluation, scope, lesson)
    (feed,) = reader
    (copied,) = cloudpickle.loads(cloudpickle.dumps(reader))  # as a worker gets it
    for name, taught in feed.items():
        np.testing.assert_array_equal(copied[name], taught)
    executor = paddle.static.Executor()
    fetches = evaluation.lesson(lesson)
    given = executor.run(evaluation.program, feed=batch, fetch_list=fetches, scope=scope)
    names = [TEACHER_FEED.format(number) for number in range(len(given))]
    assert set(feed) == {*batch, *names}
    for name, value in zip(names, given, strict=True):
        np.testing.assert_allclose(feed[name], value, rtol=1e-4, atol=1e-5)
    # The layers of the notebooks' pattern can be pruned all the same.
    dependencies = analyse(evaluation.program, training.program)
    plan = Plan(dependencies, {"conv2d_11.w_0": 0.5, "conv2d_12.w_0": 0.25})
    (pupil,) = apply_plan(plan, [training.program], scope)
    (loss,) = executor.run(pupil, feed=feed, fetch_list=[training.loss], scope=scope)
    assert np.isfinite(loss)


def test_taught_reader_passes_the_epoch_on():
    class Sampler:
        epoch = None

        def set_epoch(self, epoch):
            self.epoch = epoch

    class Loader(list):
        batch_sampler = Sampler()

    evaluation = build_detector(3, False, image_size=64)
    set_epoch(TaughtReader(Loader(), evaluation, None, "outputs"), 5)
    assert Loader.batch_sampler.epoch == 5
