"""Measure each layer's milliseconds on this machine, with the rest of the network around it.

Measured alone, a layer would also be charged for bringing its maps into the layout that its kernel
needs, which does not happen inside the network. So entire networks are run, unpruned and evenly
pruned, and each operator in them is timed. In between, time is linear in a layer's multiply-adds.
"""

import numpy as np
from paddle.static import Program

from pruning.budget import Cost
from pruning.cut import apply_plan
from pruning.dependencies import Dependencies
from pruning.layer_samples import ScopedProgram, first_input
from pruning.plan import Plan
from ssd_model.fusion import fused
from ssd_model.profiling import profile_operators
from ssd_model.progress import progress
from ssd_model.scope import copy_scope, empty_scope

RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9)
"""The timed networks: in each, every layer has lost this share of its channels."""
RUNS = 15
"""Runs of each network; the median counts."""


def latency_cost(network: ScopedProgram, dependencies: Dependencies, multiple: int = 1) -> Cost:
    """Measure the cost of layers of any shape in milliseconds for one image on this machine.

    Args:
        network: eval Program and scope; they are only read.
        multiple: each layer of the timed networks keeps a multiple of this many channels.
    """
    measured: dict[str, dict[int, float]] = {name: {} for name in dependencies.positions}
    masters = dependencies.masters(dependencies.groups)
    for ratio in progress(RATIOS, "time layers"):
        plan = Plan(dependencies, dict.fromkeys(masters, ratio)).rounded(multiple)
        for name, milliseconds in _time_layers(network, plan).items():
            measured[name][plan.layer_flops(name)] = milliseconds
    curves = {name: np.array(sorted(points.items())).T for name, points in measured.items()}

    def cost(name: str, shape: tuple[int, ...]) -> float:
        flops = np.prod(shape) * dependencies.positions[name]
        return float(np.interp(flops, *curves[name])) if curves[name].size else 0.0

    return cost


def _time_layers(network: ScopedProgram, plan: Plan) -> dict[str, float]:
    """Median milliseconds of each convolution, with any batch norm and relu fused into it."""
    scope = copy_scope(network.scope, network.program)
    (program,) = apply_plan(plan, [network.program], scope)
    image = first_input(program)
    feed = {image: np.zeros((1, *program.global_block().var(image).shape[1:]), "float32")}
    ends = _ends(program, image)
    with fused(program, scope, ends) as (quick, inside):
        filters = [op.input("Filter")[0] for op in quick.global_block().ops if _is_conv(op.type)]
        timed = ScopedProgram(quick, inside)
        timed.run(feed, ends)  # the first run is slower: kernels are chosen
        operators = profile_operators(lambda: timed.run(feed, ends), RUNS)
    empty_scope(scope)
    convolutions = [milliseconds for kind, milliseconds in operators if _is_conv(kind)]
    medians = np.median(np.reshape(convolutions, (RUNS, -1)), axis=0)
    return dict(zip(filters, medians.tolist(), strict=True))


def _ends(program: Program, image: str) -> list[str]:
    """The last Variables that depend on the image alone."""
    block = program.global_block()
    known = {image} | {var.name for var in block.vars.values() if var.persistable}
    ends: dict[str, None] = {}
    for op in block.ops:
        if known.issuperset(op.input_arg_names):
            known.update(op.output_arg_names)
            ends |= dict.fromkeys(op.output_arg_names)
            for name in op.input_arg_names:
                ends.pop(name, None)
    return [name for name in ends if not block.var(name).persistable]


def _is_conv(kind: str) -> bool:
    return kind in ("conv2d", "depthwise_conv2d", "fused_conv2d")
