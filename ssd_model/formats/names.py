"""Convert the names and input of other MobileNets to those of this network.

PaddleClas (`ppcls/arch/backbone/legendary_models/mobilenet_v1.py`), PaddleDetection
(`ppdet/modeling/backbones/mobilenet_v1.py`, `heads/ssd_head.py`) and Paddle itself
(`paddle.vision.models.mobilenet_v1`) build the same layers under other names. PaddleClas has
changed its names since, and both used yet others when they still built static Programs.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ssd_model.data.loader import MEAN, SCALE
from ssd_model.formats.error import WeightsError

BLOCKS = ["conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2"]
BLOCKS += [f"conv5_{i}" for i in range(1, 7)] + ["conv6"]
EXTRAS = [f"conv7_{i}" for i in range(1, 5)]
FIRST_HEAD, PRIORS = 22, (3, 6, 6, 6, 6, 6)
PREFIX = re.compile(r"(?:(?:_layers|module|model|ema|Student|backbone)\.)*")
"""What may stand before a name: a network was a part of another one when it was saved."""


@dataclass(frozen=True)
class Pretrained:
    """The content of a weights file, under this network's names."""

    arrays: dict[str, np.ndarray]
    unused: list[str] = field(default_factory=list)
    """Other arrays in the file, by its own names."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was changed."""


@dataclass(frozen=True)
class _Input:
    """The input that a network was trained on: (pixel - mean) / deviation, pixels in 0..255."""

    what: str
    rgb: bool
    mean: tuple[float, ...] = (MEAN,) * 3
    deviation: tuple[float, ...] = (1 / SCALE,) * 3


IMAGENET = _Input(
    "RGB with ImageNet's means and deviations",
    rgb=True,
    mean=(255 * 0.485, 255 * 0.456, 255 * 0.406),
    deviation=(255 * 0.229, 255 * 0.224, 255 * 0.225),
)
SSD_RGB = _Input("RGB in -1..1, as PaddleDetection's reader gives it", rgb=True)


def rename(arrays: Mapping[str, np.ndarray], own: Collection[str] = ()) -> Pretrained:
    """Convert arrays to this network's names and input: BGR, about -1..1.

    Arrays that already have the original's names stay unchanged.

    Args:
        own: names of the network's parameters. If some of them are names of other MobileNets, the
            network is not this MobileNet-SSD, and the arrays stay unchanged.

    Raises:
        WeightsError: two arrays would become the same parameter.
    """
    plain = {name: name[PREFIX.match(name).end() :] for name in arrays}
    structured = [name for name in arrays if plain[name] in _STRUCTURED]
    static = [name for name in arrays if plain[name] in STATIC]
    if not structured + static or not {*structured, *static}.isdisjoint(own):
        return Pretrained(dict(arrays))
    table = {**_STRUCTURED, **STATIC}
    if static:
        table |= _unnamed_heads(arrays)
    sources: dict[str, str] = {}
    for name in arrays:
        ours = table.get(plain[name])
        if ours and sources.setdefault(ours, name) != name:
            raise WeightsError(
                f"{name!r} and {sources[ours]!r} are both {ours} of this network: save one network"
            )
    found = {ours: arrays[name] for ours, name in sources.items()}
    unused = [name for name in arrays if plain[name] not in table]
    ssd = any(name.startswith("conv7_") for name in plain.values())
    lite = any(_LITE.match(name) for name in plain.values())
    notes = []
    if not ssd or lite:
        found = _for_our_input(found, IMAGENET, notes)
    elif structured:
        found = _for_our_input(found, SSD_RGB, notes)
        notes.append("its extra layers end in ReLU6, ours in ReLU: outputs above 6 differ")
        found = _background_first(found, notes)
    return Pretrained(found, unused, notes)


def _layers() -> Iterator[tuple[str, str, str, str]]:
    """Yield each layer's name in their dynamic and in their static networks, and our names.

    Our names are two: the convolution's and its batch norm's. PaddleClas's present names are those
    of `_present`.
    """
    yield "conv1", "conv1", "conv2d_0", "batch_norm_0"
    for i, block in enumerate(BLOCKS):
        norms = f"batch_norm_{2 * i + 1}", f"batch_norm_{2 * i + 2}"
        yield f"{block}._depthwise_conv", f"{block}_dw", f"depthwise_conv2d_{i}", norms[0]
        yield f"{block}._pointwise_conv", f"{block}_sep", f"conv2d_{i + 1}", norms[1]
    for i, block in enumerate(EXTRAS):
        first, norm = len(BLOCKS) + 1 + 2 * i, 2 * len(BLOCKS) + 1 + 2 * i
        names = ("pointwise_conv", "extra1"), ("normal_conv", "extra2")
        for j, (layer, flat) in enumerate(names):
            yield (
                f"{block}.{layer}",
                f"{block}_{flat}",
                f"conv2d_{first + j}",
                f"batch_norm_{norm + j}",
            )


def _present(layer: str) -> str:
    """PaddleClas's present name of a layer, by the one that it had at first."""
    block, _, part = layer.partition(".")
    if block in BLOCKS:
        return f"blocks.{BLOCKS.index(block)}.{part[1:]}"
    return "conv" if layer == "conv1" else layer  # a classifier has no extra layers


def _tables() -> tuple[dict[str, str], dict[str, str]]:
    """Our name for each parameter, by its name in their dynamic and in their static networks."""
    structured, static = {}, {}
    for layer, flat, conv, norm in _layers():
        present = _present(layer)
        # The last is that of paddle.vision.
        convs, bns = (
            [f"{layer}._conv", f"{present}.conv", f"{layer}.0"],
            [f"{layer}._batch_norm", f"{present}.bn", f"{layer}.1"],
        )
        structured |= {f"{theirs}.weight": f"{conv}.w_0" for theirs in convs}
        static[f"{flat}_weights"] = f"{conv}.w_0"
        for theirs, their_flat, ours in (
            ("weight", "scale", "w_0"),
            ("bias", "offset", "b_0"),
            ("_mean", "mean", "w_1"),
            ("_variance", "variance", "w_2"),
        ):
            structured |= {f"{bn}.{theirs}": f"{norm}.{ours}" for bn in bns}
            static[f"{flat}_bn_{their_flat}"] = f"{norm}.{ours}"
    for i in range(len(PRIORS)):
        for theirs, number in (("boxes", FIRST_HEAD + 2 * i), ("scores", FIRST_HEAD + 2 * i + 1)):
            structured[f"ssd_head.{theirs}{i}.weight"] = f"conv2d_{number}.w_0"
            structured[f"ssd_head.{theirs}{i}.bias"] = f"conv2d_{number}.b_0"
    return structured, static


_STRUCTURED, STATIC = _tables()
_LITE = re.compile(r"ssd_head\..*\.dw_conv\.|(?:loc|conf)_\d+(?:pw|dw|_bn)")
"""Names in PaddleDetection's SSDLite, which sees other pixels than its SSD does."""


def _unnamed_heads(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The heads of networks with static names, which Paddle numbered from some number on."""
    numbers = sorted({int(m[1]) for n in arrays if (m := re.fullmatch(r"conv2d_(\d+)\.w_0", n))})
    if len(numbers) != 2 * len(PRIORS):
        return {}
    return {
        f"conv2d_{number}.{end}": f"conv2d_{FIRST_HEAD + i}.{end}"
        for i, number in enumerate(numbers)
        for end in ("w_0", "b_0")
    }


def _for_our_input(
    arrays: dict[str, np.ndarray], seen: _Input, notes: list[str]
) -> dict[str, np.ndarray]:
    """Change the first layer so that it computes on our input what it did on its own.

    Its weights absorb the deviation, and its batch norm's mean absorbs the means. The zeros around
    the image stand for one colour there and for another here; that cannot be corrected.
    """
    filters, mean = arrays.get("conv2d_0.w_0"), arrays.get("batch_norm_0.w_1")
    if filters is None or filters.ndim != 4 or filters.shape[1] != 3:
        return arrays
    if any(array is not None and array.dtype.kind != "f" for array in (filters, mean)):
        return arrays  # to be refused by name
    notes.append(f"the file's network was trained on {seen.what}, ours on BGR in -1..1: ")
    filters, changed = filters.astype("float64"), dict(arrays)
    exact = seen.mean == (MEAN,) * 3 and seen.deviation == (1 / SCALE,) * 3
    if exact:
        notes[-1] += "the channels of conv2d_0.w_0 are swapped; nothing else changes"
    else:
        shift = (MEAN - np.array(seen.mean)) / np.array(seen.deviation)
        bias = np.einsum("ochw,c->o", filters, shift)
        filters = filters / (SCALE * np.array(seen.deviation))[:, None, None]
        if mean is not None and mean.shape == bias.shape:
            changed["batch_norm_0.w_1"] = (mean - bias).astype("float32")
            notes[-1] += (
                "conv2d_0.w_0 and batch_norm_0.w_1 are converted, exactly but for the image's "
                "edge, where the zeros around it stand for another colour"
            )
        else:
            notes[-1] += "conv2d_0.w_0 is converted, but not its batch norm, which does not fit"
    order = slice(None, None, -1) if seen.rgb else slice(None)
    changed["conv2d_0.w_0"] = filters[:, order].astype("float32")
    return changed


def _background_first(arrays: dict[str, np.ndarray], notes: list[str]) -> dict[str, np.ndarray]:
    """Move the background's scores, which PaddleDetection has last, to the front."""
    changed = dict(arrays)
    for i, priors in enumerate(PRIORS):
        for end in ("w_0", "b_0"):
            name = f"conv2d_{FIRST_HEAD + 2 * i + 1}.{end}"
            scores = arrays.get(name)
            # Scores for other priors will not fit.
            if scores is None or not scores.ndim or len(scores) % priors:
                continue
            by_prior = scores.reshape(priors, -1, *scores.shape[1:])
            changed[name] = np.roll(by_prior, 1, axis=1).reshape(scores.shape)
    if f"conv2d_{FIRST_HEAD + 1}.w_0" in arrays:
        notes.append(
            "its class scores have the background last: they are put in our order, in which they "
            "are worth something if your classes are the file's, in its order"
        )
    return changed
