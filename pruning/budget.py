"""How much each layer gives, where layers are not cut alike."""

import math
from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from pruning.dependencies import Dependencies
from pruning.plan import Plan, PlanError
from pruning.search import check_target

MOST = 0.9
"""Of a layer's channels at most this share goes."""
PIECES = 64
"""A layer gives its channels in this many pieces."""

Cost = Callable[[str, tuple[int, ...]], float]
"""Of a layer, by the name and shape of its filter or matrix: multiply-adds, or milliseconds."""


def flops_cost(dependencies: Dependencies) -> Cost:
    """Multiply-adds for one image."""
    return lambda name, shape: prod(shape) * dependencies.positions[name]


def budget_plan(
    dependencies: Dependencies,
    errors: Mapping[str, np.ndarray],
    target_ratio: float,
    cost: Cost,
    multiple: int = 1,
) -> Plan:
    """Cut a share of the cost where that adds least to the error.

    Greedily: each time that layer gives a piece which adds the least error for the cost saved, in
    its own filter and in those that lose inputs with it.

    Args:
        errors: by filter to cut, see `Elimination.errors`.
        target_ratio: share of the cost to save, in (0, 1).
        multiple: layers lose a multiple of this many channels.

    Raises:
        PlanError: target_ratio is out of range, or these layers cannot save as much.
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
    """Refuse a share of the cost that these layers do not hold.

    Raises:
        PlanError: so it is, or target_ratio is out of range.
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
        raise PlanError(
            f"target_ratio {target_ratio:g} is out of reach: {len(layers)} matched layers, each "
            f"without {MOST:.0%} of its channels, would save {most:.2f}; match more layers or ask "
            "for less"
        )


def _shapes(dependencies: Dependencies) -> dict[str, list[int]]:
    """Of what costs something, before the cut."""
    return {name: list(dependencies.shapes[name]) for name in dependencies.positions}


def _total(shapes: Mapping[str, list[int]], cost: Cost) -> float:
    return sum(cost(name, tuple(shape)) for name, shape in shapes.items())


class _Layer:
    """A filter on its way through a budget."""

    def __init__(self, dependencies: Dependencies, name: str, multiple: int):
        group = dependencies.groups[name]
        self.channels = group.channels
        self.piece = multiple * max(1, self.channels // PIECES // multiple)
        self.removed = 0
        self._members = [(m, axis) for m, axis in group.members if m in dependencies.positions]

    @property
    def can_give(self) -> bool:
        return self.removed + self.piece <= MOST * self.channels

    def price(self, errors: np.ndarray, shapes: dict[str, list[int]], cost: Cost) -> float:
        """What the next piece adds to the error for each unit of cost that it saves.

        Milliseconds may grow with a smaller layer: a piece that saves nothing comes last.
        """
        saved = self.saves(shapes, cost)
        added = float(errors[self.removed + self.piece] - errors[self.removed])
        return added / saved if saved > 0 else math.inf

    def saves(self, shapes: dict[str, list[int]], cost: Cost) -> float:
        """What the next piece saves."""
        saved = 0.0
        for member, axis in self._members:
            shape = list(shapes[member])
            shape[axis] -= self.piece
            saved += cost(member, tuple(shapes[member])) - cost(member, tuple(shape))
        return saved

    def give(self, shapes: dict[str, list[int]]) -> None:
        for member, axis in self._members:
            shapes[member][axis] -= self.piece
        self.removed += self.piece
