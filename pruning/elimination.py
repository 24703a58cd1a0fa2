"""Find the order in which to remove a layer's channels if the layers behind make up for the loss.

A layer that reads channels computes `W'x`. Without some of them its output changes, but the weights
for the others can be refitted so that it comes as close as possible. The squared error that remains
follows from the second moments G of the inputs: removing channel j adds
`sum_o w_oj^2 / [G^-1]_jj` to what the channels before it have cost, when all other weights are
refitted at once (Hassibi and Stork, Second order derivatives for network pruning: Optimal Brain
Surgeon, 1993). The cheapest channel is removed, the inverse and the weights are updated, and so on
(as Frantar and Alistarh do for single weights: Optimal Brain Compression, arXiv 2208.11580).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIDGE = 1e-3
"""Added to the diagonal of G, as a share of its mean, so that similar inputs share a weight."""
COMPACT = 0.8
"""The matrices are compacted when less than this share of their channels is left."""


@dataclass(frozen=True)
class ReadingLayer:
    """A layer that reads the channels.

    Args:
        gram: second moments [C * B, C * B] of the layer's inputs. Each of the C channels has B
            inputs, one for each position of the kernel.
        weight: [C * B, O], in units in which the errors of the outputs can be added.
    """

    gram: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Elimination:
    """The order in which channels are removed, and what that costs."""

    order: np.ndarray
    """All channels, the first to be removed first; the last one stays."""
    errors: np.ndarray
    """[C]: squared error once 0, 1, 2, ... channels are gone, as a share of the squared outputs;
    summed over the layers that read them."""

    @property
    def importance(self) -> np.ndarray:
        """[C]: each channel's position in the order."""
        importance = np.empty(len(self.order))
        importance[self.order] = np.arange(len(self.order))
        return importance


def eliminate(readers: Sequence[ReadingLayer], channels: int) -> Elimination:
    """Remove one channel after another, each time the one that costs least.

    Args:
        readers: the layers that read these channels, at least one.
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
    """A reader during elimination: the inverse of its Gram matrix, and its refitted weights."""

    def __init__(self, reader: ReadingLayer, channels: int):
        gram, weight = reader.gram.astype("float64"), reader.weight.astype("float64")
        total = np.einsum("io,ij,jo->", weight, gram, weight, optimize=True)
        self._weight = weight / np.sqrt(max(total, np.finfo("float64").tiny))
        ridge = RIDGE * np.trace(gram) / len(gram)
        self._inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
        self._block = len(gram) // channels

    def costs(self) -> np.ndarray:
        """[C]: the error that removing each channel would add; 0 for those already removed."""
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
        # For a single column, broadcasting will do: a matrix product would wake all threads.
        product = np.multiply if self._block == 1 else np.matmul
        self._weight -= product(share.T, self._weight[at])
        self._inverse -= product(column, share)
        # Make what was removed exactly zero, not a rounding error.
        self._weight[at] = 0
        self._inverse[at] = self._inverse[:, at] = 0
        self._inverse[at, at] = np.eye(self._block)

    def compact(self, left: np.ndarray) -> None:
        """Drop the removed channels from the matrices, so that later removals take less time."""
        at = np.repeat(left, self._block)
        self._inverse, self._weight = self._inverse[np.ix_(at, at)], self._weight[at]
