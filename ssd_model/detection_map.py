"""`detection_map` and `DetectionMAP` of Paddle 1.x: mAP as Variables inside a Program.

Besides the mAP of each batch there is the accumulated mAP. The mean of batch values, which the
original `Compressor` reported, is not the mAP of the whole set: each batch ranks only its own few
detections, and a class that is absent from a batch drops out of its mean.
"""

import numpy as np
import paddle
from paddle.static import Variable

from ssd_model.average_precision import AveragePrecision, mean_of_classes
from ssd_model.detection_output import detection_counts

# Endings that turn the name of a mAP Variable into those of the Variables that belong to it
ACCUMULATED = ".accumulated"
BY_CLASS = ".by_class" + ACCUMULATED
HAS_STATE = ".has_state"


def detection_map(
    detect_res: Variable,
    label: Variable,
    class_num: int,
    background_label: int = 0,
    overlap_threshold: float = 0.3,
    evaluate_difficult: bool = True,
    ap_version: str = "integral",
) -> Variable:
    """Compute the mAP of each batch, like `fluid.layers.detection_map`.

    As in the original, some defaults, such as `overlap_threshold`, differ from `DetectionMAP`'s.
    `has_state`, `input_states` and `out_states` are missing, since the state is kept inside.

    The Program also holds Variables named after the result, with these endings: '.accumulated',
    the mAP over all batches since the last reset; '.by_class.accumulated' [class_num], the AP of
    each class, nan without ground truth; '.has_state', which resets the state when set to 0.

    Args:
        detect_res: [K, 6], the result of `detection_output`.
        label: [N, M, 6] class, difficult, box, or [N, M, 5] without difficult; class -1 marks
            padding.
        class_num, background_label, overlap_threshold, evaluate_difficult, ap_version: see
            `AveragePrecision`. The original accepted `background_label`, but counted all classes.

    Returns:
        [1] float32 in 0..1; put its name into a fetch list.

    Raises:
        ValueError: `label` has another shape, or `AveragePrecision` refuses a setting.
    """
    if len(label.shape) != 3 or label.shape[2] not in (5, 6):
        raise ValueError(f"label has shape {label.shape}: it must be [N, M, 5] or [N, M, 6]")
    settings = class_num, background_label, overlap_threshold, evaluate_difficult, ap_version
    accumulated = AveragePrecision(*settings)

    def compute(*tensors):
        detections, counts, label, has_state = map(np.array, tensors)
        if not has_state[0]:
            accumulated.reset()
        batch = AveragePrecision(*settings)
        batch.update(detections, counts, label)
        accumulated.merge(batch)
        by_class = accumulated.ap_by_class()
        one = np.ones(1, "int32")
        return (
            _scalar(batch.value()),
            _scalar(mean_of_classes(by_class)),
            by_class.astype("float32"),
            one,
        )

    block = detect_res.block
    name = paddle.utils.unique_name.generate("detection_map")
    has_state = _state(block, name + HAS_STATE)
    outputs = [
        block.create_var(name=name + ending, shape=shape, dtype="float32", stop_gradient=True)
        for ending, shape in (("", [1]), (ACCUMULATED, [1]), (BY_CLASS, [class_num]))
    ]
    inputs = [detect_res, detection_counts(detect_res), label, has_state]
    paddle.static.py_func(compute, inputs, [*outputs, has_state])
    return outputs[0]


class DetectionMAP:
    """mAP of each batch and over the whole set, like `fluid.metrics.DetectionMAP`.

    Args:
        input: [K, 6], the result of `detection_output`.
        gt_label: [N, M] int, class, -1 for padding.
        gt_box: [N, M, 4] normalised.
        gt_difficult: [N, M] int, 1 for difficult; optional.
        class_num: classes, the background included.
        background_label, overlap_threshold, evaluate_difficult, ap_version: see `detection_map`.
    """

    def __init__(
        self,
        input: Variable,
        gt_label: Variable,
        gt_box: Variable,
        gt_difficult: Variable | None = None,
        class_num: int | None = None,
        background_label: int = 0,
        overlap_threshold: float = 0.5,
        evaluate_difficult: bool = True,
        ap_version: str = "integral",
    ):
        if class_num is None:
            raise ValueError("class_num is missing: the number of classes, background included")
        label = detection_label(gt_label, gt_box, gt_difficult)
        self._map = detection_map(
            input, label, class_num, background_label, overlap_threshold, evaluate_difficult,
            ap_version,
        )  # fmt: skip

    def get_map_var(self) -> tuple[Variable, Variable]:
        """The mAP of the batch, and that of all batches since the last reset; [1] each."""
        return self._map, self._map.block.var(self._map.name + ACCUMULATED)

    def get_ap_var(self) -> Variable:
        """The AP of each class over all batches since the last reset, [class_num]."""
        return self._map.block.var(self._map.name + BY_CLASS)

    def reset(
        self, executor: paddle.static.Executor, reset_program: paddle.static.Program | None = None
    ) -> None:
        """Start a new set.

        Args:
            reset_program: gets the operators that reset, and is run; by default a new Program.
        """
        reset_program = reset_program or paddle.static.Program()
        block = reset_program.global_block()
        name = self._map.name + HAS_STATE
        state = block.create_var(name=name, shape=[1], dtype="int32", persistable=True)
        paddle.nn.initializer.Constant(0)(state, block)
        executor.run(reset_program)


def detection_label(
    gt_label: Variable, gt_box: Variable, gt_difficult: Variable | None = None
) -> Variable:
    """Combine ground truth for `detection_map`: [N, M, 6], or [N, M, 5] without difficult."""
    flags = [gt_label] if gt_difficult is None else [gt_label, gt_difficult]
    columns = [flag.unsqueeze(-1).astype(gt_box.dtype) for flag in flags]
    return paddle.concat([*columns, gt_box], axis=-1)


def _scalar(value: float) -> np.ndarray:
    return np.array([value], "float32")


def _state(block: paddle.base.framework.Block, name: str) -> Variable:
    """Create an int that stays in the scope between runs; the startup program sets it to 0."""
    startup = paddle.static.default_startup_program().global_block()
    for owner in (block.program.global_block(), startup):
        state = owner.create_var(name=name, shape=[1], dtype="int32", persistable=True)
    paddle.nn.initializer.Constant(0)(state, startup)
    return block.program.global_block().var(name)
