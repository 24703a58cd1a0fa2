"""Reconstruct a network after pruning, before it is trained: refit the layers that lost inputs.

The output of a convolution that lost inputs changes. The weights for the inputs that are left are
refitted so that the output comes as close as possible to what it was in the unpruned network, on a
few batches of images (He et al., Channel Pruning for Accelerating Very Deep Neural Networks, arXiv
1707.06168, 3.1: the reconstruction step). This goes layer by layer, starting at the image, so that
each layer also makes up for what those before it could not. If a layer has a bias, it is refitted.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import paddle
from paddle.static import Program

from pruning.cut import Criterions, CutPositions, cut_positions
from pruning.layer_samples import (
    Places,
    PlainConv,
    ScopedProgram,
    draw_places,
    first_input,
    plain_convs,
)
from pruning.pattern import some
from pruning.plan import Plan
from ssd_model.progress import progress
from ssd_model.scope import child_scope, empty_scope, read_tensor, write_tensor

RIDGE = 1e-3
"""The pull towards the current weights, as a share of the inputs' mean square: the weights of
inputs that hardly vary, or are alike, then change little."""


@dataclass(frozen=True)
class _Sample:
    places: Places
    outputs: np.ndarray
    """[K, C_out], the unpruned network's outputs there, in the channels that are left."""


def reconstruct(
    plan: Plan,
    positions: CutPositions,
    unpruned: ScopedProgram,
    pruned: ScopedProgram,
    batches: Sequence[np.ndarray],
) -> None:
    """Refit every plain convolution of `pruned` that lost input channels and is used once.

    Other convolutions, and fully connected layers, keep their weights; a printed line names them.

    Args:
        plan, positions: what was cut from `unpruned` to get `pruned`, see `cut_positions`.
        unpruned: the network before pruning; it is only read.
        pruned: the pruned network; filters and biases in its scope are replaced.
        batches: images [N, 3, S, S], 100 to 200 in all. One layer's inputs are kept for all of
            them: 3 MB per image for the widest layer of MobileNetV1-SSD.

    Raises:
        ValueError: there are no images.
    """
    if not batches:
        raise ValueError("reconstruction needs images")
    image = first_input(unpruned.program)
    steps = _steps(plan, unpruned.program)
    convs = [conv for step in steps for conv in step]
    _tell_what_stays(plan, {conv.filter for conv in convs})
    if not convs:
        return
    given = [{image: batch} for batch in batches]
    samples: dict[str, list[_Sample]] = {conv.filter: [] for conv in convs}
    for i, feed in enumerate(given):
        rng = np.random.default_rng(i)
        outputs = unpruned.run(feed, [conv.output for conv in convs])
        for conv, output in zip(convs, outputs, strict=True):
            gone = positions.get(conv.filter, {}).get(0, [])
            samples[conv.filter].append(_sample(output, gone, rng))
    # Each step's inputs are kept until the next one's are computed from them.
    inputs: list[dict] = [{} for _ in given]
    with child_scope(pruned.scope) as inside:
        network = ScopedProgram(pruned.program, inside)
        for step in progress(steps, "reconstruct"):
            fits = [_Fit(plan, conv, pruned) for conv in step]
            for i, feed in enumerate(given):
                (x,) = network.run(feed | inputs[i], [step[0].input])
                inputs[i] = {step[0].input: x}
                for fit in fits:
                    fit.add(x, samples[fit.conv.filter][i])
            for fit in fits:
                fit.write()


class Reconstruction:
    """Keeps a network's state before a pruning, to reconstruct it afterwards.

    Args:
        plan: what will be pruned.
        network: the network as it is; its parameters are copied.
        criterions: how filters will be ranked, see `cut_positions`.
    """

    def __init__(self, plan: Plan, network: ScopedProgram, criterions: Criterions):
        self._plan = plan
        self._positions = cut_positions(plan, network.scope, criterions)
        self._unpruned = ScopedProgram(network.program, paddle.static.Scope())
        for name in plan.shapes:
            write_tensor(self._unpruned.scope, name, read_tensor(network.scope, name))

    def carry_out(self, pruned: ScopedProgram, batches: Sequence[np.ndarray]) -> None:
        """Reconstruct the pruned network, and free what was kept. See `reconstruct`."""
        reconstruct(self._plan, self._positions, self._unpruned, pruned, batches)
        empty_scope(self._unpruned.scope)


def _steps(plan: Plan, program: Program) -> list[list[PlainConv]]:
    """The convolutions that lost inputs, grouped by input, those nearest the image first."""
    ops = program.global_block().ops
    produced = {name: i for i, op in enumerate(ops) for name in op.output_arg_names}
    uses = Counter(name for op in ops for name in op.input_arg_names)
    steps = defaultdict(list)
    for conv in plain_convs(program):
        if _lost(plan, conv.filter) and uses[conv.filter] == 1:
            steps[conv.input].append(conv)
    return sorted(steps.values(), key=lambda step: produced.get(step[0].input, -1))


def _lost(plan: Plan, name: str) -> bool:
    """Whether a filter or a matrix lost inputs."""
    axis = plan.dependencies.input_axis(name)
    return plan.shapes[name][axis] < plan.dependencies.shapes[name][axis]


def _tell_what_stays(plan: Plan, refitted: set[str]) -> None:
    """Print the names of layers that lost inputs but are not refitted."""
    stays = [name for name in plan.dependencies.positions.keys() - refitted if _lost(plan, name)]
    if stays:
        names = some(sorted(stays))
        print(f"reconstruct: only plain convolutions used once are refitted, not {names}")


def _sample(output: np.ndarray, gone: Sequence[int], rng: np.random.Generator) -> _Sample:
    """Draw places of an output map [N, C, H, W]; keep the values there of the channels left."""
    images, channels, *map_size = output.shape
    places = draw_places(images, tuple(map_size), rng)
    n, row, column = places
    left = np.delete(np.arange(channels), gone)
    return _Sample(places, output[n, :, row, column][:, left])


class _Fit:
    """Least squares for one convolution and, if it has one, its bias."""

    def __init__(self, plan: Plan, conv: PlainConv, network: ScopedProgram):
        self.conv = conv
        self._scope = network.scope
        self._weight = read_tensor(network.scope, conv.filter)
        behind = plan.dependencies.convs[conv.filter]
        self._bias = behind.vectors[0] if behind.vectors and not behind.scale else None
        self._count = 0
        self._gram = self._moment = self._seen = self._wanted = 0.0

    def add(self, x: np.ndarray, sample: _Sample) -> None:
        """Add what the layer sees now, [N, C_in, H, W], and the outputs it should give."""
        seen = self.conv.seen(x, sample.places)
        self._count += len(seen)
        self._gram += (seen.T @ seen).astype("float64")
        self._moment += (seen.T @ sample.outputs).astype("float64")
        self._seen += seen.sum(axis=0, dtype="float64")
        self._wanted += sample.outputs.sum(axis=0, dtype="float64")

    def write(self) -> None:
        """Write the filter of least squared error, pulled slightly towards the old, to the scope.

        A bias takes care of the mean, so that the filter fits what varies.
        """
        flat = self._weight.reshape(len(self._weight), -1).T
        gram, moment = self._gram, self._moment
        if self._bias:
            gram = gram - np.outer(self._seen, self._seen) / self._count
            moment = moment - np.outer(self._seen, self._wanted) / self._count
        ridge = RIDGE * np.trace(gram) / len(gram)
        solution = np.linalg.solve(gram + ridge * np.eye(len(gram)), moment + ridge * flat)
        weight = np.ascontiguousarray(solution.T.reshape(self._weight.shape), "float32")
        write_tensor(self._scope, self.conv.filter, weight)
        if self._bias:
            bias = read_tensor(self._scope, self._bias)
            missing = (self._wanted - self._seen @ solution) / self._count
            write_tensor(self._scope, self._bias, (bias + missing).astype("float32"))
