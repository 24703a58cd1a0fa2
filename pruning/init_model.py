"""Start from saved weights, those of an unpruned network or of a pruned one.

As with the original's `init_model`, the weights of a pruned network set the shapes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import paddle

from pruning.dependencies import Dependencies, analyse
from pruning.plan import Plan, PlanError
from ssd_model.scope import kept_variables, read_tensor, write_tensor
from ssd_model.weights import (
    LoadReport,
    WeightsError,
    fill_parameters,
    load_weights,
    read_weights,
    shapes_of,
)

LEAST_FILTERS = 0.25
"""Share of a network's filters that weights must have: the names of other networks are the same."""


def plan_of_weights(path: Path, dependencies: Dependencies) -> Plan:
    """Infer what was cut from a network from the weights that are left.

    Args:
        path: weights, see `ssd_model.weights.read_weights`.
        dependencies: those of the unpruned network.

    Raises:
        WeightsError: the weights cannot be read.
        PlanError: see `plan_of_shapes`.
    """
    found = read_weights(path, dependencies.shapes).arrays
    return plan_of_shapes(dependencies, {name: array.shape for name, array in found.items()})


def load_init_model(
    path: Path, programs: Sequence[paddle.static.Program], scope: paddle.static.Scope
) -> LoadReport:
    """Fill a scope for Programs that have the shapes of these weights, see `plan_of_weights`.

    Tensors that the file lacks, and the optimizer's state, keep their first channels.

    Args:
        programs: the Programs, with the eval Program last.
        scope: as the startup programs of the unpruned network have left it.

    Raises:
        WeightsError: the weights cannot be read, or none fits. The scope is then unchanged.
    """
    report = load_weights(programs[-1], path, scope)
    for var in kept_variables(scope, programs):
        array = read_tensor(scope, var.name)
        if array.ndim == len(var.shape) and array.shape != tuple(var.shape):
            write_tensor(scope, var.name, array[tuple(slice(side) for side in var.shape)])
    return report


def check_unpruned(path: Path, program: paddle.static.Program, scope: paddle.static.Scope) -> None:
    """Refuse weights that an unpruned network cannot start from, before any long work begins.

    Args:
        program: an eval Program of the network, for any number of classes; scope: its scope.

    Raises:
        WeightsError: the weights cannot be read, too few fit, or they belong to a pruned network.
    """
    network = shapes_of(program)
    found = read_weights(path, network)
    report = fill_parameters(program, found, path, scope)
    try:
        shapes = {name: array.shape for name, array in found.arrays.items()}
        ratios = plan_of_shapes(analyse(program), shapes).ratios
    except PlanError:
        ratios = {}  # the weights of another network
    if ratios:
        raise WeightsError(
            f"{path} is of a pruned network: {len(ratios)} filters have fewer channels, as "
            f"{next(iter(ratios))}. Start from the unpruned one; a config's init_model takes both"
        )
    filters = {name for name, shape in network.items() if len(shape) == 4}
    fitting = filters & {*report.loaded}
    if len(fitting) < LEAST_FILTERS * len(filters):
        raise WeightsError(
            f"{path} is of another network, or only a part of one: of {len(filters)} filters here "
            f"it has {len(fitting)}, by name and shape. A MobileNetV1 classifier has more than half"
        )


def plan_of_shapes(dependencies: Dependencies, shapes: Mapping[str, tuple[int, ...]]) -> Plan:
    """Infer what was cut from a network from the shapes of the parameters that are left.

    Args:
        dependencies: those of the unpruned network.
        shapes: shapes of a file's arrays, by name; a filter that it lacks counts as uncut.

    Returns:
        The plan; it has no ratios if nothing was cut. Another number of classes is not a cut.

    Raises:
        PlanError: no cut leaves the shape of the named parameter: it has more channels than the
            network, none, or not those that the cut of the filters before it leaves.
    """
    ratios = {}
    masters = dependencies.masters(dependencies.groups)
    for name in masters:
        group = dependencies.groups[name]
        kept = shapes[name][0] if shapes.get(name) else group.channels
        if kept < group.channels:
            ratios[name] = 1 - kept / group.channels
    plan = Plan(dependencies, ratios)
    halved = Plan(dependencies, dict.fromkeys(masters, 0.5)).shapes
    for name, planned in plan.shapes.items():
        found = shapes.get(name, planned)
        # An axis that no cut reaches may differ: it holds the classes, or the kernel's size.
        sides = zip(found, planned, halved[name], dependencies.shapes[name], strict=False)
        differs = any(one != two and half != whole for one, two, half, whole in sides)
        if differs or len(found) != len(planned):
            raise PlanError(
                f"{name} has shape {list(found)} in the file, where the cut of the other filters "
                f"leaves {list(planned)}: these are not the weights of this network, pruned or not"
            )
    return plan
