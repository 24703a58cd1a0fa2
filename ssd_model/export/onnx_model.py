"""The detector for other engines: an ONNX file that ends in boxes and scores."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import paddle
from paddle.static import Program, Variable

from ssd_model.detection_output import decode_boxes
from ssd_model.export.inference_model import save_inference_model
from ssd_model.files import write_file
from ssd_model.programs import Detector

OPSET = 13
"""Of ONNX: old enough for every engine, and the first with a scale for each channel."""
OUTPUTS = ("boxes", "scores")


def export_onnx(path: Path, program: Program, detector: Detector, scope) -> int:
    """Write a network as ONNX, up to what non-maximum suppression takes.

    The suppression itself stays outside: paddle2onnx converts it for one image only, and then
    loses the scores. The file's input is `image` [N, 3, S, S], its outputs are `boxes`
    [N, P, 4], normalised, and `scores` [N, C, P] in 0..1, the background's first, as ONNX's own
    NonMaxSuppression takes them.

    Args:
        program: the eval Program, pruned or not.
        detector: as it was built.

    Returns:
        Bytes of the file.

    Raises:
        RuntimeError: paddle2onnx failed; the message is its last words.
    """
    program, outputs = end_in_boxes(program, detector, scope)
    with tempfile.TemporaryDirectory() as folder:
        prefix, converted = Path(folder) / "model", Path(folder) / "model.onnx"
        save_inference_model(prefix, program, detector.image, outputs, scope)
        # A process of its own, since it prints a page of what it does.
        command = [
            Path(sys.executable).with_name("paddle2onnx"),
            *("--model_dir", folder, "--model_filename", "model.pdmodel"),
            *("--params_filename", "model.pdiparams", "--save_file", converted),
            *("--opset_version", str(OPSET), "--optimize_tool", "None"),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not converted.exists():
            raise RuntimeError(f"paddle2onnx failed: {(done.stdout + done.stderr)[-2000:]}")
        model = onnx.load(converted)
    _tidy(model.graph)
    content = model.SerializeToString()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, content)
    return len(content)


def suppression_inputs(program: Program) -> tuple[str, str]:
    """Names of the boxes and the scores in an eval Program: what an ONNX file computes."""
    (nms,) = (op for op in program.global_block().ops if op.type == "multiclass_nms3")
    return nms.input("BBoxes")[0], nms.input("Scores")[0]


def end_in_boxes(
    program: Program, detector: Detector, scope
) -> tuple[Program, tuple[Variable, Variable]]:
    """A copy of an eval Program with its priors as constants, and its boxes and scores."""
    priors = prior_boxes(program, detector.image, scope)
    program = program.clone()
    block = program.global_block()
    names = paddle.utils.unique_name.guard("onnx_")
    with names, paddle.static.program_guard(program, Program()):
        boxes = decode_boxes(block.var(detector.location.name), *priors)
    return program, (boxes, block.var(suppression_inputs(program)[1]))


def prior_boxes(program: Program, image: Variable, scope) -> list[np.ndarray]:
    """The priors of an eval Program and their variances, [P, 4] each."""
    (coder,) = (op for op in program.global_block().ops if op.type == "box_coder")
    return paddle.static.Executor(paddle.CPUPlace()).run(
        program,
        feed={image.name: np.zeros((1, *image.shape[1:]), "float32")},
        fetch_list=[coder.input("PriorBox")[0], coder.input("PriorBoxVar")[0]],
        scope=scope,
        use_prune=True,
    )


def _tidy(graph: onnx.GraphProto) -> None:
    """Outputs with names that say what they are, and no constants that nothing uses."""
    used = {name for node in graph.node for name in node.input}
    for node in [n for n in graph.node if n.op_type == "Constant" and n.output[0] not in used]:
        graph.node.remove(node)
    names = {value.name: name for value, name in zip(graph.output, OUTPUTS, strict=True)}
    for node in graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]
        node.input[:] = [names.get(name, name) for name in node.input]
    for value in graph.output:
        value.name = names[value.name]
