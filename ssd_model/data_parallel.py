"""Programs that several workers run at once, each on its share of every batch.

What one worker gives for the whole batch, N give, but for rounding: gradients are added up, and so
is what batch norm takes from a batch.
"""

from math import prod

import numpy as np
import paddle
from paddle.base import core
from paddle.static import Program, Scope

from ssd_model import workers
from ssd_model.inserter import Inserter
from ssd_model.operators import BATCH_TOTAL
from ssd_model.scope import copy_scope, empty_scope, kept_variables, read_tensor, write_tensor
from ssd_model.star import RING
from ssd_model.sync_batch_norm import synchronise_batch_norm

IMAGES, LOSS, AN_IMAGE = "share_of_images", "share_of_loss", "share_of_an_image"
TOLERANCE = 1e-4
"""By how much, as a share of it, rounding may change a batch's loss."""
_ROLE = core.op_proto_and_checker_maker.OpRole
_BACKWARD, _LOSS, _OPTIMIZE = (int(r) for r in (_ROLE.Backward, _ROLE.Loss, _ROLE.Optimize))


def data_parallel(program: Program) -> Program:
    """A copy of a train Program in which the workers add their gradients up; see `shares`.

    They travel in one piece, before the optimizer's first operator: 129 small ones would each wait
    for the slowest worker.
    """
    program = program.clone()
    block = program.global_block()
    for name in (IMAGES, LOSS, AN_IMAGE):
        block.create_var(name=name, shape=[], dtype="float32", is_data=True, stop_gradient=True)
    for name in _batch_totals(program):
        index = next(i for i, op in enumerate(block.ops) if name in op.output_arg_names) + 1
        insert = Inserter(program, index)
        insert("elementwise_mul", {"X": name, "Y": LOSS}, {"Out": name}, axis=-1)
        insert.sum_over_workers(name)
    seed = next(i for i, op in enumerate(block.ops) if op.attr("op_role") == _BACKWARD | _LOSS)
    name = block.ops[seed].output_arg_names[0]
    Inserter(program, seed + 1)("elementwise_mul", {"X": name, "Y": LOSS}, {"Out": name}, axis=-1)
    synchronise_batch_norm(program, IMAGES, AN_IMAGE)
    first = next(i for i, op in enumerate(block.ops) if op.attr("op_role") & _OPTIMIZE)
    written = {name for op in block.ops[:first] for name in op.output_arg_names}
    gradients = {
        f"{p.name}@GRAD": list(p.shape)
        for p in program.all_parameters()
        if f"{p.name}@GRAD" in written
    }
    _add_up(Inserter(program, first), gradients)
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
    present = float(own > 0)
    of_loss = present if _batch_totals(program) else own / images
    values = {IMAGES: own / images, LOSS: of_loss, AN_IMAGE: present / images}
    return {name: np.float32(value) for name, value in values.items()}


def loss_of_one(program: Program, feed: dict, loss: str, scope: Scope) -> float | None:
    """The loss that this worker alone computes for a batch; nothing is trained, or changed.

    Args:
        program: before `data_parallel`.
        feed: the whole batch.
        loss: the Variable's name.

    Returns:
        None if it is random, as with dropout.
    """
    if any(op.has_attr("seed") for op in program.global_block().ops):
        return None
    copy = copy_scope(scope, program)  # for the running statistics of batch norm
    executor = paddle.static.Executor(paddle.CPUPlace())
    (value,) = executor.run(program, feed=feed, fetch_list=[loss], scope=copy, use_prune=True)
    empty_scope(copy)
    return float(np.mean(value))


def check_loss(own: float, whole: float | None) -> None:
    """See that the workers weight a loss rightly, whatever it is. All call this, for one batch.

    Args:
        own: what this worker adds to the batch's loss.
        whole: the loss as `loss_of_one` gives it; None in all workers but the first.

    Raises:
        WorkersError: what they add comes to something else.
    """
    own, whole = zip(*workers.gather([own, whole]), strict=True)
    total, whole = sum(own), whole[0]
    if whole is not None and abs(total - whole) > TOLERANCE * abs(whole):
        raise workers.WorkersError(
            f"for one batch, {len(own)} workers come to a loss of {total:.6g}, one to {whole:.6g}. "
            "They can share a loss that is a mean over the images, or that is divided as a whole "
            "by an ssd_model.operators.batch_total; see docs/workers.md"
        )


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


def _add_up(insert: Inserter, gradients: dict[str, list[int]]) -> None:
    """Replace gradients, whose shapes are given by name, by their sums over the workers."""
    for name in gradients:
        flat = {"Out": f"{name}.flat", "XShape": f"{name}.flat_from"}
        insert("reshape2", {"X": name}, flat, shape=[-1])
    vectors, sums = ([f"{name}.{form}" for name in gradients] for form in ("flat", "sum"))
    insert.add_up(vectors, sums, sections=[prod(shape) for shape in gradients.values()])
    for name, shape in gradients.items():
        whole = {"Out": name, "XShape": f"{name}.whole_from"}
        insert("reshape2", {"X": f"{name}.sum"}, whole, shape=shape)


def _batch_totals(program: Program) -> list[str]:
    names = (name for op in program.global_block().ops for name in op.output_arg_names)
    return [name for name in names if name.startswith(BATCH_TOTAL) and "@GRAD" not in name]
