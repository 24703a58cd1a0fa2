"""The channels of feature maps: where each one is, and which can only be removed together.

Every channel that a layer outputs has a number. `pruning.channel_rules` says what operators do
with them.
"""

from dataclasses import dataclass

import numpy as np
import paddle


@dataclass(frozen=True)
class Channels:
    """The axis on which a Variable has its channels, and their numbers."""

    axis: int
    numbers: np.ndarray
    """[C], one number for each position on that axis."""


class Walk:
    """What following the channels through a Program's operators has found."""

    def __init__(self, program: paddle.static.Program):
        self._block = program.global_block()
        self._parameters = {parameter.name for parameter in program.all_parameters()}
        self._found: dict[str, Channels] = {}
        self._ties: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        self._strange: dict[str, str] = {}
        self._count = 0
        self.members: dict[tuple[str, int], np.ndarray] = {}
        """The numbers of the channels, by parameter and axis."""
        self.ends: list[tuple[np.ndarray, str]] = []
        """Channels that must stay, and why, with the layer as subject: 'reaches ..., which ...'."""
        self.positions: dict[str, int] = {}
        """How often one image uses each filter or matrix; times its size, the multiply-adds."""
        self.reshaped: dict[str, int] = {}
        """Outputs of reshape2 whose attribute holds a channel count, and the axis it is for."""

    def finish(self, read: set[str]) -> None:
        """End the channels that no operator reads: those of outputs.

        Args:
            read: names of all Variables that an operator reads; any other is an output.
        """
        for name in [name for name in self._found if name not in read | self._parameters]:
            self.end(name, "an output of the network")
        self.ends += [
            (numbers, f"reaches {name}, {self._strange[name]}")
            for (name, _), numbers in self.members.items()
            if name in self._strange
        ]

    def tied(self) -> np.ndarray:
        """For each channel number, the smallest number that it is tied to."""
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
        """A Variable's shape; the batch, whose size varies, counts as 1."""
        return tuple(1 if size < 0 else size for size in self._block.var(name).shape)

    def is_parameter(self, name: str) -> bool:
        """Whether a Variable is a parameter, which can be cut."""
        return name in self._parameters

    def of(self, name: str) -> Channels | None:
        """The channels of a Variable, if any have reached it; a vector parameter has its own."""
        if name not in self._found and self.is_parameter(name) and len(self.shape(name)) == 1:
            self.put(name, 0, self.member(name, 0))
        return self._found.get(name)

    def put(self, name: str, axis: int, numbers: np.ndarray) -> None:
        """Record a Variable's channels."""
        self._found[name] = Channels(axis, numbers)

    def new(self, count: int) -> np.ndarray:
        """Numbers for new channels."""
        self._count += count
        return np.arange(self._count - count, self._count)

    def member(self, name: str, axis: int) -> np.ndarray:
        """The channel numbers on a parameter's axis."""
        if (name, axis) not in self.members:
            self.members[name, axis] = self.new(self.shape(name)[axis])
        return self.members[name, axis]

    def meet(self, name: str, axis: int, numbers: np.ndarray) -> None:
        """Record that an axis of a parameter holds these channels."""
        if (name, axis) in self.members:
            self.tie(self.members[name, axis], numbers)
        else:
            self.members[name, axis] = numbers

    def tie(self, one: np.ndarray, other: np.ndarray) -> None:
        """Tie channels that can only be removed together, position by position."""
        for side, numbers in zip(self._ties, (one, other), strict=True):
            side.append(numbers)

    def end(self, name: str, why: str) -> None:
        """Record that a Variable's channels must stay; a parameter's, on every axis."""
        if self.is_parameter(name):
            self._strange.setdefault(name, why)
        elif name in self._found:
            self.ends.append((self._found[name].numbers, f"reaches {name}, {why}"))
