"""Draw diagrams of the network and of a cut from what `analyse` found in the Program."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import log2, prod, sqrt

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pruning.dependencies import Conv, Dependencies
from pruning.plan import Plan

BACKBONE, EXTRA, HEAD = "#0072b2", "#009e73", "#d55e00"
CUT, KEPT = "#d55e00", "#c6d4e6"
ARROW = {"arrowstyle": "-|>", "color": "0.4"}
DRAWN = 8
"""How many channels of a tensor are drawn, however many it has."""


@dataclass(frozen=True)
class _Stage:
    """Convolutions that end in one feature map, and the heads that read it."""

    convs: list[Conv]
    colour: str
    heads: list[Conv]

    @property
    def span(self) -> str:
        first, last = (conv.name.removesuffix(".w_0") for conv in (self.convs[0], self.convs[-1]))
        return f"{first} to {last.removeprefix('conv2d_')}" if first != last else first

    @property
    def priors(self) -> int:
        """Priors per cell; the location head, which comes first, gives four numbers for each."""
        return self.heads[0].shape[0] // 4 if self.heads else 0


def _stages(dependencies: Dependencies) -> Iterator[_Stage]:
    convs = list(dependencies.convs.values())
    # The backbone ends with the 1x1 convolution behind the last depthwise one.
    end = convs[max(i for i, conv in enumerate(convs) if conv.depthwise) + 1]
    body = [conv for conv in convs if conv.name in dependencies.groups]
    stage, colour = [], BACKBONE
    for conv, following in zip(body, [*body[1:], None], strict=True):
        stage.append(conv)
        inputs = {name for name, axis in dependencies.groups[conv.name].members if axis == 1}
        heads = [head for head in convs if head.name in inputs - dependencies.groups.keys()]
        coarser = following is not None and following.map_size != conv.map_size
        if heads or (coarser and colour == BACKBONE):
            yield _Stage(stage, colour, heads)
            stage = []
        if conv is end:
            colour = EXTRA


def plot_network(dependencies: Dependencies) -> Figure:
    """Draw the SSD: an image becomes ever coarser maps, and heads read six of them.

    The height of a map shows its size; the number of sheets stands for its number of channels.
    """
    stages = list(_stages(dependencies))
    figure, axes = plt.subplots(figsize=(11, 4.8), layout="constrained")
    axes.set(xlim=(-0.75, len(stages) + 0.2), ylim=(-2.75, 2.75))
    axes.axis("off")
    axes.add_patch(Rectangle((-0.6, -1.1), 0.3, 2.2, facecolor="0.85", edgecolor="0.4"))
    axes.text(-0.45, 1.2, "image", ha="center", fontsize=9)
    edge = -0.3
    for x, stage in enumerate(stages):
        axes.annotate("", (x + 0.28, 0), (edge, 0), arrowprops=ARROW)
        edge = _draw_map(axes, x + 0.28, stage)
        if stage.heads:
            _draw_heads(axes, x + 0.34, stage)
    for name, colour in (("backbone", BACKBONE), ("extra layers", EXTRA)):
        first = next(x for x, stage in enumerate(stages) if stage.colour == colour)
        axes.text(first + 0.1, 2.4, name, color=colour, fontsize=12, weight="bold")
    total = sum(stage.priors * prod(stage.convs[-1].map_size) for stage in stages)
    axes.text(-0.6, -2, "heads", color=HEAD, fontsize=12, weight="bold")
    says = f"{total:,} priors in all; where their boxes\noverlap on one object, the best stays"
    axes.text(-0.6, -2.15, says, fontsize=9, va="top")
    return figure


def _draw_map(axes: Axes, x: float, stage: _Stage) -> float:
    """Draw a stack of sheets with its name above, and return its right edge."""
    conv = stage.convs[-1]
    size, sheets = conv.map_size[0], int(log2(conv.shape[0])) - 4
    height, step = _height(stage), 0.05
    for i in reversed(range(sheets)):
        place = (x + i * step, -height / 2 + i * step)
        style = {"facecolor": stage.colour, "edgecolor": "white", "alpha": 0.85}
        axes.add_patch(Rectangle(place, 0.1, height, **style))
    label = f"{stage.span}\n{size}x{size}\n{conv.shape[0]} channels"
    axes.text(x + 0.15, height / 2 + 0.4, label, ha="center", va="bottom", fontsize=8)
    return x + 0.1 + (sheets - 1) * step


def _draw_heads(axes: Axes, x: float, stage: _Stage) -> None:
    _, confidence = stage.heads
    start = (x, -_height(stage) / 2 - 0.05)
    axes.annotate("", (x, -1.6), start, arrowprops={**ARROW, "color": HEAD})
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": HEAD}
    text = (
        f"{stage.priors} priors a cell:\n"
        f"{stage.priors} x 4 offsets\n"
        f"{stage.priors} x {confidence.shape[0] // stage.priors} scores\n"
        f"{stage.priors * prod(stage.convs[-1].map_size):,} priors"
    )
    axes.text(x + 0.08, -1.7, text, ha="center", va="top", fontsize=8, bbox=box)


def _height(stage: _Stage) -> float:
    return 0.18 * sqrt(stage.convs[-1].map_size[0])


def plot_group(plan: Plan, name: str) -> Figure:
    """Draw what is cut when a filter loses channels: red lines through all tensors behind it.

    Each tensor is drawn with eight channels, however many it has; the shapes below are the plan's.

    Args:
        name: the filter, one of `plan.ratios`.

    Raises:
        KeyError: the plan does not cut this filter.
    """
    lines = max(1, round(DRAWN * plan.ratios[name]))
    gone = {int((i + 0.5) / lines * DRAWN) for i in range(lines)}
    members = plan.dependencies.groups[name].members
    layers = groupby(members, key=lambda member: member[0].split(".")[0])
    figure, axes = plt.subplots(figsize=(11, 3.2), layout="constrained")
    edge = 0.0
    for layer, tensors in layers:
        tensors = list(tensors)
        edge = _draw_tensors(axes, edge, layer, tensors, plan, gone) + 1.5
    for row in gone:
        axes.plot([0, edge - 1.5], [row + 0.45] * 2, color=CUT, lw=1, zorder=0)
    axes.set(xlim=(-0.5, edge - 1), ylim=(DRAWN + 1.8, -1.6))
    axes.axis("off")
    return figure


def _draw_tensors(
    axes: Axes, x: float, layer: str, tensors: list[tuple[str, int]], plan: Plan, gone: set[int]
) -> float:
    """Draw one layer's tensors, with a row for each channel, and return the right edge."""
    name, axis = tensors[0]
    before, after = plan.dependencies.shapes[name], plan.shapes[name]
    if len(before) == 1:
        columns, kind, loses = len(tensors), "batch norm", "its numbers go"
    elif plan.dependencies.convs[name].depthwise:
        columns, kind, loses = 1, "depthwise", "its filters go"
    elif axis == 0:
        columns, kind, loses = DRAWN, "rows: outputs", "outputs go"
    else:
        columns, kind, loses = DRAWN, "rows: inputs", "inputs go"
    width = max(columns, 4.5)
    left, middle = x + (width - columns) / 2, x + width / 2
    for row in range(DRAWN):
        for column in range(columns):
            colour = CUT if row in gone else KEPT
            axes.add_patch(Rectangle((left + column, row), 0.9, 0.9, facecolor=colour))
    title = layer.replace("depthwise_", "depthwise_\n") if columns == 1 else layer
    shapes = " → ".join("x".join(map(str, shape[:2])) for shape in (before, after))
    axes.text(
        middle,
        -0.3,
        f"{title}\n{kind}" if columns > 1 else title,
        ha="center",
        va="bottom",
        fontsize=8,
    )
    axes.text(middle, DRAWN + 0.3, f"{shapes}\n{loses}", ha="center", va="top", fontsize=8)
    return x + width
