"""Batch norm over a batch that several workers share.

A worker sees its share alone. So the sums that batch norm takes over a batch, two in the forward
pass and two in the backward pass, are added up over the workers, and all normalise alike (Ioffe and
Szegedy, arXiv 1502.03167, with the sums of the whole batch).
"""

from math import prod

from paddle.static import Program

from ssd_model.inserter import Inserter


def trains_on_batches(op) -> bool:
    """Whether an operator is a batch norm that takes its statistics from the batch."""
    return op.type == "batch_norm" and not (op.attr("is_test") or op.attr("use_global_stats"))


def synchronise_batch_norm(program: Program, share: str, an_image: str) -> None:
    """Let every batch norm of a train Program use the statistics of the whole batch; in place.

    Args:
        program: its loss is scaled such that the workers' gradients add up.
        share: the Variable with this worker's images, as a share of the batch.
        an_image: the Variable with one image, as a share of the batch.

    Raises:
        ValueError: a feature map's size is not fixed.
    """
    block = program.global_block()
    for op in [op for op in block.ops if trains_on_batches(op)]:
        shape, name = block.var(op.input("X")[0]).shape, op.input("Scale")[0]
        if min(shape[1:]) < 1:
            raise ValueError(
                f"several workers cannot train {name}: its input has the shape {shape}, of which "
                "only the first number, the batch's, may be open"
            )
        places = prod(shape[1:]) // block.var(name).shape[0]
        mean, variance = _forward(program, op, share)
        for gradient in [other for other in block.ops if _is_gradient(other, op)]:
            _backward(program, gradient, mean, variance, an_image, places)


def _is_gradient(other, op) -> bool:
    # A layer may stand in a Program twice; what it has saved is each one's own.
    is_one = other.type == "batch_norm_grad"
    return is_one and other.input("SavedMean") == op.output("SavedMean")


def _forward(program: Program, op, share: str) -> tuple[str, str]:
    """Normalise by the whole batch's mean and variance; returns their names."""
    block = program.global_block()
    name = op.output("SavedMean")[0]
    own = {part: f"{name}.own_{part}" for part in ("mean", "square", "variance")}
    mean, variance = f"{name}.mean", f"{name}.variance"
    insert = Inserter(program, block.ops.index(op))
    # With a momentum of 0, the running statistics become those of this share.
    for running, value in (("Mean", own["mean"]), ("Variance", own["variance"])):
        insert("assign", {"X": op.input(running)[0]}, {"Out": value})
    inputs = {part: op.input(part)[0] for part in ("X", "Scale", "Bias")}
    _insert_batch_norm(insert, op, inputs, own["mean"], own["variance"], f"{name}.unused", False)
    # Squares of distances from the running mean, which all workers share, lose fewer digits.
    running_mean = op.input("Mean")[0]
    insert("elementwise_sub", {"X": own["mean"], "Y": running_mean}, {"Out": own["mean"]})
    insert("square", {"X": own["mean"]}, {"Out": own["square"]})
    insert("elementwise_add", {"X": own["variance"], "Y": own["square"]}, {"Out": own["square"]})
    insert.add_up([own["mean"], own["square"]], [mean, variance], share, num=2)
    insert("square", {"X": mean}, {"Out": own["square"]})
    insert("elementwise_sub", {"X": variance, "Y": own["square"]}, {"Out": variance})
    insert("relu", {"X": variance}, {"Out": variance})  # rounding may leave less than nothing
    insert("elementwise_add", {"X": mean, "Y": running_mean}, {"Out": mean})
    # What the operator would do to the running statistics, it does no longer.
    for running, value in ((running_mean, mean), (op.input("Variance")[0], variance)):
        momentum, old, new = op.attr("momentum"), f"{running}.old", f"{running}.new"
        insert("scale", {"X": running}, {"Out": old}, scale=momentum)
        insert("scale", {"X": value}, {"Out": new}, scale=1 - momentum)
        insert("elementwise_add", {"X": old, "Y": new}, {"Out": running})
    _use(op, mean, variance)
    op.desc.set_output("MeanOut", [mean])  # where they were read
    op.desc.set_output("VarianceOut", [variance])
    return mean, variance


def _backward(program: Program, op, mean: str, variance: str, an_image: str, places: int) -> None:
    """Add to the gradient what flows through the mean and the variance.

    With x' the normalised input, dx = scale / std * (dy - sum(dy) / M - x' * sum(dy * x') / M),
    where M counts the batch's images times places. `op` gives the first part, and both sums as the
    gradients of bias and scale; the rest is a batch norm of x, too.
    """
    block = program.global_block()
    _use(op, mean, variance)
    if not op.output("X@GRAD"):  # nothing before it is trained
        return
    name, gradient = op.input("SavedMean")[0], op.output("X@GRAD")[0]
    direct, through, factor = f"{gradient}.direct", f"{gradient}.through", f"{name}.factor"
    block.create_var(name=direct, dtype="float32", stop_gradient=True)
    insert = Inserter(program, block.ops.index(op) + 1)
    op.desc.set_output("X@GRAD", [direct])
    parts, sums = ("Scale@GRAD", "Bias@GRAD"), [f"{name}.sum_dyx", f"{name}.sum_dy"]
    if not op.output("Scale@GRAD"):  # scale and bias are frozen; Paddle takes both or none
        shape = block.var(op.input("Scale")[0]).shape
        for part, own in zip(parts, sums, strict=True):
            block.create_var(name=own, shape=shape, dtype="float32", stop_gradient=True)
            op.desc.set_output(part, [own])
    insert.add_up([op.output(part)[0] for part in parts], sums, num=2)
    insert("scale", {"X": variance}, {"Out": factor}, scale=1.0, bias=op.attr("epsilon"))
    insert("rsqrt", {"X": factor}, {"Out": factor})
    insert("elementwise_mul", {"X": factor, "Y": op.input("Scale")[0]}, {"Out": factor}, axis=-1)
    insert("scale", {"X": factor}, {"Out": factor}, scale=-1 / places)
    insert("elementwise_mul", {"X": factor, "Y": an_image}, {"Out": factor}, axis=-1)
    for total in sums:
        insert("elementwise_mul", {"X": total, "Y": factor}, {"Out": total}, axis=-1)
    inputs = {"X": op.input("X")[0], "Scale": sums[0], "Bias": sums[1]}
    _insert_batch_norm(insert, op, inputs, mean, variance, through, True)
    insert("elementwise_add", {"X": direct, "Y": through}, {"Out": gradient}, axis=-1)


def _insert_batch_norm(
    insert: Inserter, like, inputs: dict, mean: str, variance: str, y: str, given: bool
) -> None:
    """Insert a batch norm that uses given statistics, or puts those of its input there."""
    insert(
        "batch_norm",
        {**inputs, "Mean": mean, "Variance": variance},
        {
            "Y": y,
            "MeanOut": mean,
            "VarianceOut": variance,
            "SavedMean": f"{y}.saved_mean",
            "SavedVariance": f"{y}.saved_variance",
            "ReserveSpace": f"{y}.reserve",
        },
        momentum=0.0,
        epsilon=like.attr("epsilon"),
        data_layout=like.attr("data_layout"),
        is_test=False,
        use_global_stats=given,
    )


def _use(op, mean: str, variance: str) -> None:
    """Let a batch norm, or its gradient, take statistics as given."""
    op.desc.set_input("Mean", [mean])
    op.desc.set_input("Variance", [variance])
    op._set_attr("use_global_stats", True)
