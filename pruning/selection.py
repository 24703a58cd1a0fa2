"""Measure on images which channels a network can best do without.

A channel matters if the layers that read it cannot make up for it with the others. If a depthwise
convolution, batch norm or relu comes in between, what counts is what those layers see behind it.
The channels of a layer go in the order of `pruning.elimination`. No labels are needed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from pruning.dependencies import Conv, Dependencies
from pruning.elimination import Elimination, ReadingLayer, eliminate
from pruning.layer_samples import PlainConv, ScopedProgram, draw_places, first_input, plain_convs
from ssd_model.progress import progress
from ssd_model.scope import child_scope, read_tensor

EPSILON = 1e-5
"""The epsilon of batch norm."""


def why_not_measured(dependencies: Dependencies, name: str) -> str | None:
    """The reason why the order of a filter's channels cannot be measured; None if it can.

    Args:
        name: the name of a filter that can be cut.
    """
    readers = _readers_of(dependencies, name)
    own, channels = dependencies.channels[name, 0], dependencies.channels
    others = [reader for reader in readers if not np.array_equal(channels[reader], own)]
    others += [reader for reader in readers if not _is_conv(dependencies, reader)]
    if others:
        return f"is read by {others[0][0]} otherwise than channel by channel, as a convolution does"
    return None if readers else "is read by no plain convolution"


def measure_eliminations(
    network: ScopedProgram,
    dependencies: Dependencies,
    names: Sequence[str],
    batches: Sequence[np.ndarray],
) -> dict[str, Elimination]:
    """Measure in which order each filter's channels should go, see `pruning.elimination`.

    Args:
        network: eval Program and scope before pruning; they are only read.
        names: filters, see `why_not_measured`.
        batches: images [N, 3, S, S], 100 to 200 in all.

    Raises:
        ValueError: there are no images, or the order of a filter's channels cannot be measured.
    """
    if not batches:
        raise ValueError("measuring what channels are worth needs images")
    for name in names:
        if reason := why_not_measured(dependencies, name):
            raise ValueError(f"{name} {reason}")
    uses: dict[str, list[PlainConv]] = defaultdict(list)
    for conv in plain_convs(network.program):
        uses[conv.filter].append(conv)
    readers: dict[str, dict[tuple, list[PlainConv]]] = {}
    for name in names:
        # Layers that see the same, such as the heads on one map, count as one reader.
        alike = readers[name] = defaultdict(list)
        for reader, _ in _readers_of(dependencies, name):
            if reader not in uses:
                raise ValueError(f"{name} is read by {reader}, whose padding is not explicit")
            for conv in uses[reader]:
                what = conv.input, conv.kernel, conv.strides, conv.paddings, conv.dilations
                alike[what].append(conv)
    firsts = dict.fromkeys(group[0] for alike in readers.values() for group in alike.values())
    block = network.program.global_block()
    maps = {conv: tuple(block.var(conv.output).shape[2:]) for conv in firsts}
    grams = _grams(network, maps, batches)
    found = {}
    for name in progress(names, "choose channels"):
        seen = [_reader(network, dependencies, g, grams[g[0]]) for g in readers[name].values()]
        found[name] = eliminate(seen, dependencies.groups[name].channels)
    return found


def _readers_of(dependencies: Dependencies, name: str) -> list[tuple[str, int]]:
    """The filters and matrices that read a filter's channels, and the axis of their inputs."""
    convs = dependencies.convs
    return [
        (member, axis)
        for member, axis in dependencies.groups[name].members
        if member in dependencies.positions
        and axis == dependencies.input_axis(member)
        and not (member in convs and convs[member].depthwise)
    ]


def _is_conv(dependencies: Dependencies, reader: tuple[str, int]) -> bool:
    return reader[0] in dependencies.convs and dependencies.convs[reader[0]].groups == 1


def _grams(
    network: ScopedProgram,
    maps: Mapping[PlainConv, tuple[int, int]],
    batches: Sequence[np.ndarray],
) -> dict[PlainConv, np.ndarray]:
    """Covariance of what convolutions see; batch norm or a bias makes up for the means.

    Args:
        maps: the size of each convolution's output map.
    """
    image = first_input(network.program)
    sums: dict[PlainConv, list] = {conv: [0.0, 0.0, 0] for conv in maps}
    names = list(dict.fromkeys(conv.input for conv in maps))
    with child_scope(network.scope) as inside:
        network = ScopedProgram(network.program, inside)
        for i, batch in enumerate(progress(batches, "look at images")):
            values = dict(zip(names, network.run({image: batch}, names), strict=True))
            for conv, total in sums.items():
                places = draw_places(len(batch), maps[conv], np.random.default_rng(i))
                seen = conv.seen(values[conv.input], places)
                total[0] += (seen.T @ seen).astype("float64")
                total[1] += seen.sum(axis=0, dtype="float64")
                total[2] += len(seen)
    return {
        conv: square / count - np.outer(plain / count, plain / count)
        for conv, (square, plain, count) in sums.items()
    }


def _reader(
    network: ScopedProgram,
    dependencies: Dependencies,
    convs: Sequence[PlainConv],
    gram: np.ndarray,
) -> ReadingLayer:
    """Merge layers that see the same into one reader."""
    weights = []
    for conv in convs:
        weight = read_tensor(network.scope, conv.filter).astype("float64")
        flat = weight.reshape(len(weight), -1).T
        weights.append(flat * _units(network, dependencies.convs[conv.filter], flat, gram))
    return ReadingLayer(gram, np.hstack(weights))


def _units(network: ScopedProgram, conv: Conv, weight: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Factors that make the outputs' errors comparable: the batch norm's, or else 1 / scatter."""
    if conv.scale:
        variance = read_tensor(network.scope, conv.vectors[-1])
        return read_tensor(network.scope, conv.scale) / np.sqrt(variance + EPSILON)
    scatter = np.einsum("io,ij,jo->o", weight, gram, weight, optimize=True)
    return 1 / np.sqrt(np.maximum(scatter, np.finfo("float32").tiny))
