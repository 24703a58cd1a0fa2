"""The train and eval Programs of the detector, which share parameter names and so a scope."""

from dataclasses import dataclass
from typing import Literal, get_args

import paddle
from paddle.static import Program, Variable

from ssd_model.average_precision import VOC_2007
from ssd_model.detection_map import detection_label, detection_map
from ssd_model.detection_output import detection_counts, detection_output
from ssd_model.distillation import distillation_loss, feature_loss
from ssd_model.network import mobilenet_ssd
from ssd_model.operators import reduce_sum
from ssd_model.place import default_place
from ssd_model.ssd_loss import ssd_loss

Lesson = Literal["outputs", "features"]
"""What a network learns from a teacher."""
TEACHER_FEED = "teacher_{}"
"""Names, each with a number, what a train Program with a teacher is fed besides its feed list."""


@dataclass(frozen=True)
class Detector:
    """A Program and the Variables that matter in it.

    feed_list: image [N, 3, S, S] float32; gt_box [N, M, 4] float32, normalised; gt_label [N, M]
    int32, -1 for padding; gt_difficult [N, M] int32.
    """

    program: Program
    startup_program: Program
    feed_list: list[Variable]
    location: Variable
    """[N, P, 4] predicted offsets."""
    confidence: Variable
    """[N, P, C] logits."""
    features: list[Variable]
    """[N, channels, H, W] each: the six feature maps that the heads read."""
    loss: Variable | None = None
    """[] loss of the batch, normalised by its number of matched priors (training)."""
    map: Variable | None = None
    """[1] mAP of the batch; see `detection_map` for the Variables with it (evaluation)."""
    nmsed_out: Variable | None = None
    """[K, 6] detections of the batch (evaluation)."""

    @property
    def image(self) -> Variable:
        return self.feed_list[0]

    def lesson(self, kind: Lesson) -> list[Variable]:
        """What a pupil learns from it: location and confidence, or all features but the first.

        The layer that makes the first one may be pruned, and then has fewer channels.
        """
        return [self.location, self.confidence] if kind == "outputs" else self.features[1:]

    @property
    def counts(self) -> Variable:
        """[N] int32, the number of rows of `nmsed_out` that belong to each image."""
        return detection_counts(self.nmsed_out)


def build_detector(
    class_num: int,
    is_train: bool,
    optimizer: paddle.optimizer.Optimizer | None = None,
    image_size: int = 300,
    seed: int = 0,
    teacher: Lesson | None = None,
    conv_rate: float = 1.0,
) -> Detector:
    """Build the detector with a loss, or with detections and their mAP.

    Every parameter is named as in the original, whatever was built before in this process.

    Args:
        class_num: classes, the background (0) included; 2 or more.
        is_train: loss and batch statistics; otherwise detections, mAP and running statistics.
        optimizer: minimises the loss in the Program; without one, there is only the loss.
        image_size: side of the image in pixels.
        seed: the seed of the startup program's random weights.
        teacher: what to learn from a teacher: add `distillation_loss` of its outputs to the loss,
            or `feature_loss` of its features. Its `lesson` is then fed, too, see `TEACHER_FEED`.
        conv_rate: see `mobilenet_ssd`; used by the optimizer.

    Raises:
        ValueError: `class_num` is below 2, an eval Program is given an optimizer or a teacher, or
            `teacher` is no `Lesson`.
        RuntimeError: Paddle is not in the state that `utils` sets up.
    """
    if class_num < 2:
        raise ValueError(f"class_num is {class_num}: the background and one class make 2")
    if (optimizer is not None or teacher) and not is_train:
        raise ValueError("an eval Program takes no optimizer and no teacher")
    if teacher not in (None, *get_args(Lesson)):
        raise ValueError(f"teacher is {teacher!r}: say what to learn, one of {get_args(Lesson)}")
    if paddle.in_dynamic_mode() or paddle.framework.use_pir_api():
        raise RuntimeError("Paddle must run static Programs of the old IR: `import utils` first")
    program, startup = Program(), Program()
    startup.random_seed = seed + 1  # 0 tells Paddle to choose a seed
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        feed_list = _inputs(image_size)
        image, gt_box, gt_label, gt_difficult = feed_list
        location, confidence, prior_box, prior_box_var, features = mobilenet_ssd(
            image, class_num, conv_rate
        )
        built = program, startup, feed_list, location, confidence, features
        if not is_train:
            nmsed_out = detection_output(
                location, confidence, prior_box, prior_box_var, nms_threshold=0.45
            )
            label = detection_label(gt_label, gt_box, gt_difficult)
            map_var = detection_map(nmsed_out, label, class_num, **VOC_2007)
            _use_running_statistics(program)
            return Detector(*built, map=map_var, nmsed_out=nmsed_out)
        loss = ssd_loss(location, confidence, gt_box, gt_label, prior_box, prior_box_var)
        if teacher:
            own = Detector(*built).lesson(teacher)
            taught = _fed(own)
            if teacher == "outputs":
                loss += distillation_loss(*own, *taught)
            else:
                loss += feature_loss(own, taught)
        loss = reduce_sum(loss)
        if optimizer is not None:
            optimizer.minimize(loss)
    return Detector(*built, loss=loss)


def new_scope(*detectors: Detector) -> paddle.static.Scope:
    """Make a scope with random parameters for detectors that share parameter names."""
    scope = paddle.static.Scope()
    executor = paddle.static.Executor(default_place())
    for detector in detectors:
        executor.run(detector.startup_program, scope=scope)
    return scope


def _inputs(image_size: int) -> list[Variable]:
    return [
        paddle.static.data("image", [None, 3, image_size, image_size]),
        paddle.static.data("gt_box", [None, None, 4]),
        paddle.static.data("gt_label", [None, None], "int32"),
        paddle.static.data("gt_difficult", [None, None], "int32"),
    ]


def _fed(lesson: list[Variable]) -> list[Variable]:
    """Inputs for a teacher's lesson, with the shapes of the network's own."""
    return [
        paddle.static.data(TEACHER_FEED.format(number), own.shape)
        for number, own in enumerate(lesson)
    ]


def _use_running_statistics(program: Program) -> None:
    """Set batch norm as `Program.clone(for_test=True)` does, but in the same Program."""
    for op in program.global_block().ops:
        if op.type == "batch_norm":
            op._set_attr("is_test", True)
