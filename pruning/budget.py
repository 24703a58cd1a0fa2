"""Share a cut among the layers, each of which may lose a different share of its channels."""

import math
from collections.abc import Callable, Mapping
from math import lcm, prod

import numpy as np

from pruning.dependencies import Dependencies
from pruning.plan import Plan
from pruning.search import check_target, out_of_reach

MOST = 0.9
"""The largest share of a layer's channels that may be removed."""
PIECES = 64
"""The number of pieces in which a layer's channels are removed."""

Cost = Callable[[str, tuple[int, ...]], float]
"""A layer's cost, by the name and shape of its filter or matrix: multiply-adds or milliseconds."""


def flops_cost(dependencies: Dependencies) -> Cost:
    """Count a layer's cost in multiply-adds for one image."""
    return lambda name, shape: prod(shape) * dependencies.positions[name]


def budget_plan(
    dependencies: Dependencies,
    errors: Mapping[str, np.ndarray],
    target_ratio: float,
    cost: Cost,
    multiple: int = 1,
) -> Plan:
    """Save a share of the cost where that adds least to the error.

    The choice is greedy: each step takes a piece from the layer where it adds the least error for
    the cost saved, in its own filter and in those that lose inputs with it.

    Args:
        errors: `Elimination.errors` of each filter to cut, by name.
        target_ratio: share of the cost to save, in (0, 1).
        multiple: cut layers keep a multiple of this many channels.

    Raises:
        PlanError: target_ratio is out of range, or these layers cannot save that much.
    """
    check_reachable(dependencies, list(errors), target_ratio, cost, multiple)
    layers = {name: _Layer(dependencies, name, multiple) for name in errors}
    shapes = _shapes(dependencies)
    left = _total(shapes, cost)
    goal = left * (1 - target_ratio)
    while left > goal:
        offers = [
            (layer.price(errors[name], shapes, cost), name)
            for name, layer in layers.items()
            if layer.can_give
        ]
        _, name = min(offers)
        left -= layers[name].saves(shapes, cost)
        layers[name].give(shapes)
    ratios = {name: layer.removed / layer.channels for name, layer in layers.items()}
    return Plan(dependencies, ratios)


def check_reachable(
    dependencies: Dependencies, names: list[str], target_ratio: float, cost: Cost, multiple: int = 1
) -> None:
    """Refuse a target that these layers cannot reach.

    Raises:
        PlanError: they cannot save that share of the cost, or target_ratio is out of range.
    """
    check_target(target_ratio)
    layers = [_Layer(dependencies, name, multiple) for name in names]
    shapes = _shapes(dependencies)
    unpruned = _total(shapes, cost)
    for layer in layers:
        while layer.can_give:
            layer.give(shapes)
    most = 1 - _total(shapes, cost) / unpruned
    if most < target_ratio:
        raise out_of_reach(
            target_ratio,
            most,
            f"{len(layers)} matched layers, each without {MOST:.0%} of its channels",
        )


def _shapes(dependencies: Dependencies) -> dict[str, list[int]]:
    """Shapes, before the cut, of the filters and matrices that cost something."""
    return {name: list(dependencies.shapes[name]) for name in dependencies.positions}


def _total(shapes: Mapping[str, list[int]], cost: Cost) -> float:
    return sum(cost(name, tuple(shape)) for name, shape in shapes.items())


class _Layer:
    """A filter that loses its channels piece by piece."""

    def __init__(self, dependencies: Dependencies, name: str, multiple: int):
        group = dependencies.groups[name]
        self.channels = group.channels
        self.removed = 0
        self._block = group.sizes[0]
        self._multiple = lcm(multiple, self._block)
        self._members = [
            (member, axis, size)
            for (member, axis), size in zip(group.members, group.sizes, strict=True)
            if member in dependencies.positions
        ]

    @property
    def piece(self) -> int:
        """The channels of the next piece: the first leaves a multiple, the others keep it so."""
        odd = (self.channels - self.removed) % self._multiple
        return odd or self._multiple * max(1, self.channels // PIECES // self._multiple)

    @property
    def can_give(self) -> bool:
        return self.removed + self.piece <= MOST * self.channels

    def price(self, errors: np.ndarray, shapes: dict[str, list[int]], cost: Cost) -> float:
        """How much removing the next piece adds to the error, per unit of cost saved.

        A smaller layer may take more milliseconds; a piece that saves nothing comes last.
        """
        saved = self.saves(shapes, cost)
        added = float(errors[self.removed + self.piece] - errors[self.removed])
        return added / saved if saved > 0 else math.inf

    def saves(self, shapes: dict[str, list[int]], cost: Cost) -> float:
        """How much cost removing the next piece saves."""
        saved = 0.0
        for member, axis, size in self._members:
            shape = list(shapes[member])
            shape[axis] -= self.piece // self._block * size
            saved += cost(member, tuple(shapes[member])) - cost(member, tuple(shape))
        return saved

    def give(self, shapes: dict[str, list[int]]) -> None:
        for member, axis, size in self._members:
            shapes[member][axis] -= self.piece // self._block * size
        self.removed += self.piece
