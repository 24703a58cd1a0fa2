"""Programs that several workers run at once, each on its share of every batch.

What one worker gives for the whole batch, N give, but for rounding, where batch norm uses fixed
statistics. Where it takes them from the batch, each worker takes those of its share; the running
statistics are averaged over the workers, so that all hold the same.
"""

from math import prod
from typing import Any

import numpy as np
import paddle
from paddle.base import core
from paddle.static import Program, Scope

from ssd_model import workers
from ssd_model.operators import BATCH_TOTAL
from ssd_model.scope import kept_variables, read_tensor, write_tensor
from ssd_model.star import RING

IMAGES, LOSS = "share_of_images", "share_of_loss"
_OPTIMIZE = int(core.op_proto_and_checker_maker.OpRole.Optimize)


def data_parallel(program: Program) -> Program:
    """A copy of a train Program in which the workers add their gradients up; see `shares`.

    They travel in one piece, before the optimizer's first operator: 129 small ones would each wait
    for the slowest worker.
    """
    program = program.clone()
    block = program.global_block()
    for name in (IMAGES, LOSS):
        block.create_var(name=name, shape=[], dtype="float32", is_data=True, stop_gradient=True)
    for name in _batch_totals(program):
        index = next(i for i, op in enumerate(block.ops) if name in op.output_arg_names) + 1
        insert = _Inserter(program, index)
        insert("elementwise_mul", {"X": name, "Y": LOSS}, {"Out": name}, axis=-1)
        insert("all_reduce", {"x": name}, {"out": name}, ring_id=RING, reduce_type=0)
    first = next(i for i, op in enumerate(block.ops) if op.attr("op_role") & _OPTIMIZE)
    written = {name for op in block.ops[:first] for name in op.output_arg_names}
    gradients = {
        f"{p.name}@GRAD": list(p.shape)
        for p in program.all_parameters()
        if f"{p.name}@GRAD" in written
    }
    statistics = {
        op.output(output)[0]: list(block.var(op.input("Scale")[0]).shape)
        for op in block.ops
        if op.type == "batch_norm" and not (op.attr("is_test") or op.attr("use_global_stats"))
        for output in ("MeanOut", "VarianceOut")
    }
    _add_up(_Inserter(program, first), {LOSS: gradients, IMAGES: statistics})
    return program


def shares(program: Program, own: int, images: int) -> dict[str, np.ndarray]:
    """What a worker feeds beside its share of a batch: the weights of what it adds.

    A loss that divides by a `batch_total` is a sum over the workers, which divide by the total of
    the whole batch; any other is a mean over the images.

    Args:
        program: before or after `data_parallel`.
        own: images of this worker's share; 0 if what it feeds only stands in for one.
        images: of the whole batch.
    """
    of_loss = float(own > 0) if _batch_totals(program) else own / images
    return {IMAGES: np.float32(own / images), LOSS: np.float32(of_loss)}


def broadcast(scope: Scope, *programs: Program) -> None:
    """Give all workers what Programs keep from run to run in worker 0; shapes may change."""

    def describe() -> list[tuple[str, list[int], str]]:
        names = sorted(var.name for var in kept_variables(scope, programs))
        arrays = {name: read_tensor(scope, name) for name in names}
        return [(name, list(array.shape), str(array.dtype)) for name, array in arrays.items()]

    program = Program()
    block = program.global_block()
    for name, shape, dtype in workers.once(describe):
        if not workers.is_first():
            write_tensor(scope, name, np.zeros(shape, dtype))
        block.create_var(name=name, shape=shape, dtype=dtype, persistable=True)
        block.append_op(
            type="broadcast",
            inputs={"x": name},
            outputs={"out": name},
            attrs={"ring_id": RING, "root": 0},
        )
    paddle.static.Executor(paddle.CPUPlace()).run(program, scope=scope)


class _Inserter:
    """Puts operators into a Program, one after the other from an index on."""

    def __init__(self, program: Program, index: int):
        self._block, self._index = program.global_block(), index

    def __call__(self, kind: str, inputs: dict, outputs: dict, **attributes: Any) -> None:
        for name in (name for names in outputs.values() for name in np.ravel(names).tolist()):
            if not self._block.has_var(name):
                self._block.create_var(name=name, dtype="float32", stop_gradient=True)
        self._block._insert_op(
            self._index, type=kind, inputs=inputs, outputs=outputs, attrs=attributes
        )
        self._index += 1


def _add_up(insert: _Inserter, tensors: dict[str, dict[str, list[int]]]) -> None:
    """Replace tensors by their weighted sums over the workers.

    Args:
        tensors: by the Variable of their weight, the shapes by name.
    """
    weighted = []
    for weight, shapes in tensors.items():
        if not shapes:
            continue
        for name in shapes:
            flat = {"Out": f"{name}.flat", "XShape": f"{name}.flat_from"}
            insert("reshape2", {"X": name}, flat, shape=[-1])
        piece = f"{weight}.piece"
        insert("concat", {"X": [f"{name}.flat" for name in shapes]}, {"Out": piece}, axis=0)
        insert("elementwise_mul", {"X": piece, "Y": weight}, {"Out": piece}, axis=-1)
        weighted.append(piece)
    insert("concat", {"X": weighted}, {"Out": "piece"}, axis=0)
    insert("all_reduce", {"x": "piece"}, {"out": "piece"}, ring_id=RING, reduce_type=0)
    every = {name: shape for shapes in tensors.values() for name, shape in shapes.items()}
    sums = {"Out": [f"{name}.sum" for name in every]}
    insert("split", {"X": "piece"}, sums, sections=[prod(s) for s in every.values()], axis=0)
    for name, shape in every.items():
        whole = {"Out": name, "XShape": f"{name}.whole_from"}
        insert("reshape2", {"X": f"{name}.sum"}, whole, shape=shape)


def _batch_totals(program: Program) -> list[str]:
    names = (name for op in program.global_block().ops for name in op.output_arg_names)
    return [name for name in names if name.startswith(BATCH_TOTAL) and "@GRAD" not in name]
