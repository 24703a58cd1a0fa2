"""In which order a layer's channels can go, if those that read them make up for the loss.

A layer that reads channels computes `W'x`. Without some of them it computes something else, and the
weights for the others can be refitted so that it comes as near as it can: with the inputs' second
moments G, what is left of the squared error is a matter of arithmetic. Removing channel j costs
`sum_o w_oj^2 / [G^-1]_jj` beyond what the channels before it have cost, when all other weights are
refitted at once (Hassibi and Stork, Second order derivatives for network pruning: Optimal Brain
Surgeon, 1993). The cheapest goes, inverse and weights are updated, and so on (as Frantar and
Alistarh, Optimal Brain Compression, arXiv 2208.11580, for single weights).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIDGE = 1e-3
"""Added to the diagonal of G, as a share of its mean: inputs that are alike then share a weight."""
COMPACT = 0.8
"""Matrices shrink when fewer than this share of their channels are left."""


@dataclass(frozen=True)
class Reader:
    """A layer that reads the channels.

    Args:
        gram: second moments [C * B, C * B] of its inputs, B of them for each of C channels: as
            many as its kernel has places.
        weight: [C * B, O], in units in which the errors of its outputs can be added.
    """

    gram: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Elimination:
    """The order in which channels go, and what that costs."""

    order: np.ndarray
    """All channels, the first to go first; the one that stays is the last."""
    errors: np.ndarray
    """[C]: squared error, as a share of the outputs', once so many channels are gone; summed over
    the layers that read them."""

    @property
    def importance(self) -> np.ndarray:
        """[C]: where each channel lies in the order."""
        importance = np.empty(len(self.order))
        importance[self.order] = np.arange(len(self.order))
        return importance


def eliminate(readers: Sequence[Reader], channels: int) -> Elimination:
    """Remove one channel after the other, each time the one that costs least.

    Args:
        readers: of these channels; one at least.
    """
    states = [_State(reader, channels) for reader in readers]
    names = np.arange(channels)
    left = np.ones(channels, bool)
    order, errors = [], [0.0]
    for _ in range(channels - 1):
        if left.mean() < COMPACT:
            for state in states:
                state.compact(left)
            names, left = names[left], left[left]
        costs = np.where(left, sum(state.costs() for state in states), np.inf)
        cheapest = int(costs.argmin())
        order.append(names[cheapest])
        errors.append(errors[-1] + float(costs[cheapest]))
        left[cheapest] = False
        for state in states:
            state.remove(cheapest)
    order.append(names[left.argmax()])
    return Elimination(np.array(order), np.array(errors))


class _State:
    """A reader while channels go: the inverse of its Gram matrix, and its weights as refitted."""

    def __init__(self, reader: Reader, channels: int):
        gram, weight = reader.gram.astype("float64"), reader.weight.astype("float64")
        total = np.einsum("io,ij,jo->", weight, gram, weight, optimize=True)
        self._weight = weight / np.sqrt(max(total, np.finfo("float64").tiny))
        ridge = RIDGE * np.trace(gram) / len(gram)
        self._inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
        self._block = len(gram) // channels

    def costs(self) -> np.ndarray:
        """[C]: what removing each channel would add; 0 for those that are gone."""
        if self._block == 1:
            return np.square(self._weight).sum(axis=1) / np.diag(self._inverse)
        channels = len(self._inverse) // self._block
        shape = (channels, self._block, channels, self._block)
        each = np.arange(channels)
        blocks = self._inverse.reshape(shape)[each, :, each]
        weights = self._weight.reshape(channels, self._block, -1)
        return np.einsum("cbo,cbo->c", weights, np.linalg.solve(blocks, weights))

    def remove(self, channel: int) -> None:
        at = slice(channel * self._block, (channel + 1) * self._block)
        column = self._inverse[:, at].copy()
        share = np.linalg.solve(self._inverse[at, at], column.T)
        # One column is spread out without a product of matrices: that would wake all threads.
        product = np.multiply if self._block == 1 else np.matmul
        self._weight -= product(share.T, self._weight[at])
        self._inverse -= product(column, share)
        # What is gone is exactly nothing from here on, not a rounding error.
        self._weight[at] = 0
        self._inverse[at] = self._inverse[:, at] = 0
        self._inverse[at, at] = np.eye(self._block)

    def compact(self, left: np.ndarray) -> None:
        """Forget the channels that are gone: later ones are then removed in less time."""
        at = np.repeat(left, self._block)
        self._inverse, self._weight = self._inverse[np.ix_(at, at)], self._weight[at]
