"""Export the detector as an ONNX file that ends in boxes and scores, or in detections."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import paddle
from paddle.base.framework import Operator
from paddle.static import Program, Variable

from ssd_model.detection_output import decode_boxes
from ssd_model.export.onnx_graph import Graph, declare
from ssd_model.export.onnx_metadata import metadata
from ssd_model.export.onnx_nodes import convert
from ssd_model.export.onnx_suppression import suppress
from ssd_model.files import write_file
from ssd_model.place import default_place
from ssd_model.programs import Detector


def export_onnx(
    path: Path,
    program: Program,
    detector: Detector,
    scope,
    classes: Sequence[str] | None = None,
    suppression: bool = False,
) -> int:
    """Write a network as ONNX, without or with non-maximum suppression.

    The file's input is `image` [N, 3, S, S]. Its outputs are `boxes` [N, P, 4], normalised, and
    `scores` [N, C, P] in 0..1, the background's first, as ONNX's own NonMaxSuppression needs them.
    The file says how to prepare an image and what else one must know: see `metadata`.

    Args:
        program: the eval Program, pruned or unpruned.
        detector: the detector as it was built.
        classes: the class names, without the background, for the metadata.
        suppression: make the outputs `detections` [N, K, 6] and `counts` [N]: see `suppress`.

    Returns:
        The size of the file in bytes.

    Raises:
        ValueError: ONNX export does not know one of the operators, or there is not a name for each
            class.
    """
    image, facts = detector.image, metadata(program, detector.image, classes)
    program, (boxes, scores) = end_in_boxes(program, detector, scope)
    graph = Graph({image.name: "image", boxes.name: "boxes", scores.name: "scores"})
    convert(graph, program, [image.name], [boxes.name, scores.name], scope)
    outputs = [declare("boxes", boxes.shape), declare("scores", scores.shape)]
    if suppression:
        outputs = suppress(graph, _suppression(program), "boxes", "scores")
    model = graph.model([declare("image", image.shape)], outputs, facts)
    content = model.SerializeToString(deterministic=True)
    write_file(path, content)
    return len(content)


def suppression_inputs(program: Program) -> tuple[str, str]:
    """Get the names of the boxes and scores in an eval Program, which an ONNX file computes."""
    nms = _suppression(program)
    return nms.input("BBoxes")[0], nms.input("Scores")[0]


def _suppression(program: Program) -> Operator:
    (nms,) = (op for op in program.global_block().ops if op.type == "multiclass_nms3")
    return nms


def end_in_boxes(
    program: Program, detector: Detector, scope
) -> tuple[Program, tuple[Variable, Variable]]:
    """Copy an eval Program with its priors as constants; return it with its boxes and scores."""
    priors = prior_boxes(program, detector.image, scope)
    program = program.clone()
    block = program.global_block()
    names = paddle.utils.unique_name.guard("onnx_")
    with names, paddle.static.program_guard(program, Program()):
        boxes = decode_boxes(block.var(detector.location.name), *priors)
    return program, (boxes, block.var(suppression_inputs(program)[1]))


def prior_boxes(program: Program, image: Variable, scope) -> list[np.ndarray]:
    """Compute the priors of an eval Program and their variances, [P, 4] each."""
    (coder,) = (op for op in program.global_block().ops if op.type == "box_coder")
    return paddle.static.Executor(default_place()).run(
        program,
        feed={image.name: np.zeros((1, *image.shape[1:]), "float32")},
        fetch_list=[coder.input("PriorBox")[0], coder.input("PriorBoxVar")[0]],
        scope=scope,
        use_prune=True,
    )
