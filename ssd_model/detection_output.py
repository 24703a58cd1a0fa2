"""`detection_output` of Paddle 1.x: turn offsets and logits into detections."""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.static import Variable

from ssd_model.operators import exp, multiclass_nms


def detection_output(
    loc: Variable,
    scores: Variable,
    prior_box: Variable,
    prior_box_var: Variable,
    background_label: int = 0,
    nms_threshold: float = 0.3,
    nms_top_k: int = 400,
    keep_top_k: int = 200,
    score_threshold: float = 0.01,
    nms_eta: float = 1.0,
    return_index: bool = False,
) -> Variable | tuple[Variable, Variable]:
    """Decode the boxes and remove duplicates, like `fluid.layers.detection_output`.

    Args:
        loc: [N, P, 4] offsets; scores: [N, P, C] logits (the softmax is applied here).
        prior_box, prior_box_var: [P, 4].
        background_label: the class that is never detected; -1 for none. The original always used
            0, whatever was passed.
        nms_threshold: overlap (IoU) above which the detection with the lower score is dropped.
        nms_top_k, keep_top_k: how many detections enter the suppression for each class, and how
            many are kept for each image; -1 for all.
        nms_eta: if below 1, `nms_threshold` is multiplied by it after each box that is kept, while
            the threshold is above 0.5. The original always used 1, whatever was passed.
        return_index: return the index, too.

    Returns:
        [K, 6]: label, score, xmin, ymin, xmax, ymax of all images, one image after another (K may
        be 0). `detection_counts` gives the number of rows of each image. The index is [K, 1] int32:
        the prior that each row comes from, counted through the whole batch (image * P + prior).
    """
    boxes = paddle.vision.ops.box_coder(
        prior_box, prior_box_var, loc, code_type="decode_center_size"
    )
    detections = multiclass_nms(
        boxes,
        F.softmax(scores).transpose([0, 2, 1]),
        background_label=background_label,
        score_threshold=score_threshold,
        nms_top_k=nms_top_k,
        nms_threshold=nms_threshold,
        keep_top_k=keep_top_k,
        nms_eta=nms_eta,
        normalized=True,
    )
    return (detections, _output(detections, "Index")) if return_index else detections


def decode_boxes(location: Variable, prior_box: np.ndarray, prior_box_var: np.ndarray) -> Variable:
    """Decode boxes as `detection_output` does, using only arithmetic that every engine supports.

    Args:
        location: [N, P, 4] offsets.
        prior_box, prior_box_var: [P, 4]; they become constants.

    Returns:
        [N, P, 4] xmin, ymin, xmax, ymax, normalised.
    """
    size = prior_box[:, 2:] - prior_box[:, :2]
    centre = (prior_box[:, 2:] + prior_box[:, :2]) / 2
    shift, stretch = prior_box_var[:, :2], prior_box_var[:, 2:]
    middle = location[:, :, :2] * paddle.assign(shift * size) + paddle.assign(centre)
    half = exp(location[:, :, 2:] * paddle.assign(stretch)) * paddle.assign(size / 2)
    return paddle.concat([middle - half, middle + half], axis=2)


def detection_counts(nmsed_out: Variable) -> Variable:
    """Get the number of rows of `nmsed_out` that belong to each image, [N] int32.

    The original kept these counts inside the tensor, as its level of detail.

    Raises:
        ValueError: `nmsed_out` does not come from `detection_output`.
    """
    if nmsed_out.op is None or nmsed_out.op.type != "multiclass_nms3":
        raise ValueError(f"{nmsed_out.name} is not the result of detection_output")
    return _output(nmsed_out, "NmsRoisNum")


def _output(nmsed_out: Variable, slot: str) -> Variable:
    """Another output of the operator that made the detections."""
    return nmsed_out.block.var(nmsed_out.op.output(slot)[0])
