"""Paddle's own format for a network that only predicts."""

from pathlib import Path

import paddle
from paddle.static import Program, Scope, Variable

from ssd_model import kernels
from ssd_model.files import write_file


def save_inference_model(
    prefix: Path, program: Program, image: Variable, outputs: list[Variable], scope: Scope
) -> int:
    """Write what is needed to go from `image` to `outputs`, as `fluid.io.save_inference_model`.

    Args:
        prefix: the files are `prefix`.pdmodel and `prefix`.pdiparams.

    Returns:
        Bytes of both files.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    # The training kernels' choice would be written into the model; the predictor makes its own.
    program = kernels.without_onednn(program)
    block = program.global_block()
    with paddle.static.scope_guard(scope):
        paddle.static.save_inference_model(
            str(prefix),
            [block.var(image.name)],
            [block.var(output.name) for output in outputs],
            paddle.static.Executor(paddle.CPUPlace()),
            program=program,
        )
    _forget_call_stacks(Path(f"{prefix}.pdmodel"))
    return sum(Path(f"{prefix}{end}").stat().st_size for end in (".pdmodel", ".pdiparams"))


def _forget_call_stacks(model: Path) -> None:
    """Take out of a saved model where in this process, on this machine, its operators were made.

    Who gets the model has no use for these paths, and the file's size would depend on them.
    """
    program = Program.parse_from_string(model.read_bytes())
    for block in program.blocks:
        for op in block.ops:
            if op.has_attr("op_callstack"):
                op._remove_attr("op_callstack")
    write_file(model, program.desc.serialize_to_string())
