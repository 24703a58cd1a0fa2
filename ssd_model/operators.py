"""Operators that Paddle still has but whose Python functions no longer work in static Programs."""

from paddle.base.layer_helper import LayerHelper
from paddle.static import Variable

BATCH_TOTAL = "batch_total"
"""With this begins the name of what `batch_total` gives."""


def batch_total(x: Variable) -> Variable:
    """Sum over a batch, for a loss to divide by: over the whole batch, if several workers share it.

    No gradient may flow into it.
    """
    # Programs keep names when they are copied and pruned.
    return reduce_sum(x, name=BATCH_TOTAL)


def reduce_sum(
    x: Variable, axis: int | None = None, keepdim: bool = False, name: str = "reduce_sum"
) -> Variable:
    """Sum over one axis, or over all axes."""
    helper = LayerHelper(name)
    out = helper.create_variable_for_type_inference(x.dtype)
    helper.append_op(
        type="reduce_sum",
        inputs={"X": x},
        outputs={"Out": out},
        attrs={"dim": [axis or 0], "keep_dim": keepdim, "reduce_all": axis is None},
    )
    return out


def exp(x: Variable) -> Variable:
    """Raise e to the power of each element."""
    helper = LayerHelper("exp")
    out = helper.create_variable_for_type_inference(x.dtype)
    helper.append_op(type="exp", inputs={"X": x}, outputs={"Out": out})
    return out


def multiclass_nms(boxes: Variable, scores: Variable, **attributes) -> Variable:
    """Apply non-maximum suppression, class by class, to boxes [N, P, 4] and scores [N, C, P].

    Returns:
        [K, 6] label, score, box; the operator's output NmsRoisNum [N] has the number of rows of
        each image.
    """
    helper = LayerHelper("multiclass_nms3")
    detections = helper.create_variable_for_type_inference(boxes.dtype)
    helper.append_op(
        type="multiclass_nms3",
        inputs={"BBoxes": boxes, "Scores": scores},
        outputs={
            "Out": detections,
            "Index": helper.create_variable_for_type_inference("int32"),
            "NmsRoisNum": helper.create_variable_for_type_inference("int32"),
        },
        attrs=attributes,
    )
    detections.stop_gradient = True
    return detections
