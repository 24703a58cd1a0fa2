"""The channels of feature maps: who has which, and which can only go together.

Every channel that a layer puts out has a number. `pruning.channel_rules` says what operators do
with them.
"""

from dataclasses import dataclass

import numpy as np
import paddle


@dataclass(frozen=True)
class Channels:
    """Where a Variable has its channels, and their numbers."""

    axis: int
    numbers: np.ndarray
    """[C], one for each position on that axis."""


class Walk:
    """What was found on the way through the operators of a Program."""

    def __init__(self, program: paddle.static.Program):
        self._block = program.global_block()
        self._parameters = {parameter.name for parameter in program.all_parameters()}
        self._found: dict[str, Channels] = {}
        self._ties: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        self._strange: dict[str, str] = {}
        self._count = 0
        self.members: dict[tuple[str, int], np.ndarray] = {}
        """By parameter and axis, the numbers of the channels there."""
        self.ends: list[tuple[np.ndarray, str]] = []
        """Channels that must stay, and why, as what a layer does: 'reaches ..., which ...'."""
        self.positions: dict[str, int] = {}
        """How often an image meets a matrix or a filter: multiply-adds are this by its size."""
        self.reshaped: dict[str, int] = {}
        """Outputs of reshape2 whose attribute holds a number of channels, and on which axis."""

    def finish(self, read: set[str]) -> None:
        """End what is left over.

        Args:
            read: names of all that is read by an operator; what isn't is an output.
        """
        for name in [name for name in self._found if name not in read | self._parameters]:
            self.end(name, "an output of the network")
        self.ends += [
            (numbers, f"reaches {name}, {self._strange[name]}")
            for (name, _), numbers in self.members.items()
            if name in self._strange
        ]

    def tied(self) -> np.ndarray:
        """By the number of a channel, the smallest number of those that it is tied to."""
        lowest = np.arange(self._count)
        one, other = (np.concatenate([np.empty(0, int), *side]) for side in self._ties)
        while True:
            before = lowest.copy()
            both = np.minimum(lowest[one], lowest[other])
            for side in (one, other):
                np.minimum.at(lowest, lowest[side], both)
            lowest = lowest[lowest]
            if np.array_equal(before, lowest):
                return lowest

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a Variable; what varies, the batch, counts as 1."""
        return tuple(1 if size < 0 else size for size in self._block.var(name).shape)

    def is_parameter(self, name: str) -> bool:
        """Whether it can be cut."""
        return name in self._parameters

    def of(self, name: str) -> Channels | None:
        """The channels of a Variable, if they have come so far; of a vector, its numbers."""
        if name not in self._found and self.is_parameter(name) and len(self.shape(name)) == 1:
            self.put(name, 0, self.member(name, 0))
        return self._found.get(name)

    def put(self, name: str, axis: int, numbers: np.ndarray) -> None:
        """Let a Variable have channels."""
        self._found[name] = Channels(axis, numbers)

    def new(self, count: int) -> np.ndarray:
        """New numbers."""
        self._count += count
        return np.arange(self._count - count, self._count)

    def member(self, name: str, axis: int) -> np.ndarray:
        """The numbers on a parameter's axis."""
        if (name, axis) not in self.members:
            self.members[name, axis] = self.new(self.shape(name)[axis])
        return self.members[name, axis]

    def meet(self, name: str, axis: int, numbers: np.ndarray) -> None:
        """Let a parameter have some channels on an axis."""
        if (name, axis) in self.members:
            self.tie(self.members[name, axis], numbers)
        else:
            self.members[name, axis] = numbers

    def tie(self, one: np.ndarray, other: np.ndarray) -> None:
        """Channels that can only go together, position by position."""
        for side, numbers in zip(self._ties, (one, other), strict=True):
            side.append(numbers)

    def end(self, name: str, why: str) -> None:
        """The channels of a Variable must stay; a parameter's on each axis."""
        if self.is_parameter(name):
            self._strange.setdefault(name, why)
        elif name in self._found:
            self.ends.append((self._found[name].numbers, f"reaches {name}, {why}"))
