"""Do what Paddle's `multiclass_nms3` does with ONNX's own operator for suppression."""

import numpy as np
from onnx import TensorProto, ValueInfoProto
from paddle.base.framework import Operator

from ssd_model.export.onnx_graph import Graph, declare


def suppress(graph: Graph, nms: Operator, boxes: str, scores: str) -> list[ValueInfoProto]:
    """Append the nodes that lead from boxes [N, P, 4] and scores [N, C, P] to detections.

    ONNX's operator lists what is left of a whole batch. Here each image gets K rows, the most
    that it may keep: the best first, then zeros.

    Args:
        nms: Paddle's suppression, whose settings are used.
        boxes, scores: names in the graph.

    Returns:
        The outputs: `detections` [N, K, 6], label, score, xmin, ymin, xmax, ymax; and `counts`
        [N] int32, the number of rows of each image that are filled.

    Raises:
        ValueError: `nms_eta` is not 1, or the boxes are not normalised.
    """
    if nms.attr("nms_eta") != 1 or not nms.attr("normalized"):
        raise ValueError("ONNX's NonMaxSuppression takes normalised boxes and an nms_eta of 1")
    _, classes, priors = nms.block.var(nms.input("Scores")[0]).shape
    enter, keep = (
        most if nms.attr(name) < 0 else min(nms.attr(name), most)
        for name, most in (("nms_top_k", priors), ("keep_top_k", classes * priors))
    )
    add, constant = graph.add, graph.constant
    zero, last = constant("nms.zero", np.float32(0)), constant("nms.last", [2])

    # Setting the background's scores to 0 leaves it out without changing the labels.
    wanted = np.ones((classes, 1), "float32")
    if nms.attr("background_label") >= 0:
        wanted[nms.attr("background_label")] = 0
    scores = add("Mul", [scores, constant("nms.wanted", wanted)], "nms.foreground")
    # The same is done for priors that are not among the first of their class.
    first = add("TopK", [scores, constant("nms.enter", [enter])], "nms.first", "nms.first_places")
    enters = add(
        "GreaterOrEqual", [scores, add("ReduceMin", [first], "nms.least", axes=[2])], "nms.enters"
    )
    scores = add("Where", [enters, scores, zero], "nms.entered")

    limits = [
        constant("nms.most", [keep]),
        constant("nms.overlap", np.float32([nms.attr("nms_threshold")])),
        constant("nms.score", np.float32([nms.attr("score_threshold")])),
    ]
    left = add("NonMaxSuppression", [boxes, scores, *limits], "nms.left")
    # Put what is left back in its places among zeros, [N, C, P], to find each image's best.
    blank = add("Mul", [scores, zero], "nms.blank")
    values = add("GatherND", [scores, left], "nms.values")
    placed = add("ScatterND", [blank, left, values], "nms.placed")
    shape = constant("nms.flat_shape", [-1, classes * priors])
    flat = add("Reshape", [placed, shape], "nms.flat")
    best = add("TopK", [flat, constant("nms.keep", [keep])], "nms.best", "nms.places", axis=1)

    size = constant("nms.priors", [priors])
    label = add(
        "Cast", [add("Div", ["nms.places", size], "nms.class")], "nms.label", to=TensorProto.FLOAT
    )
    prior = add("Mod", ["nms.places", size], "nms.prior")
    index = add("Unsqueeze", [prior, last], "nms.index")
    box = add("GatherND", [boxes, index], "nms.box", batch_dims=1)
    filled = add("Greater", [best, zero], "nms.filled")
    mask = add("Cast", [filled], "nms.mask", to=TensorProto.FLOAT)
    label, best, mask = (
        add("Unsqueeze", [name, last], f"{name}_column") for name in (label, best, mask)
    )
    rows = add("Concat", [label, best, box], "nms.rows", axis=2)
    add("Mul", [rows, mask], "detections")
    ones = add("Cast", [filled], "nms.ones", to=TensorProto.INT32)
    add("ReduceSum", [ones, constant("nms.axis", [1])], "counts", keepdims=0)
    return [declare("detections", [-1, keep, 6]), declare("counts", [-1], TensorProto.INT32)]
