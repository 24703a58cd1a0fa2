"""Plots of the notebooks. Each draws one thing and returns its figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pruning.elimination import Elimination
from pruning.history import History
from pruning.plan import Plan
from pruning.sensitivity import Sensitivities
from pruning.target_sweep import Sweep
from ssd_model.fonts import shown

# paddleslim, once imported, has plots go nowhere.
if get_ipython():
    get_ipython().run_line_magic("matplotlib", "inline")

# A class may be called anything, and $ is not the beginning of a formula.
plt.rcParams["text.parse_math"] = False

# Okabe and Ito's colours, which the colour-blind can tell apart; the same for the same thing
BLUE, ORANGE, GREEN, SKY = "#0072b2", "#e69f00", "#009e73", "#56b4e9"
KINDS = {"1x1": BLUE, "depthwise 3x3": ORANGE, "3x3": GREEN}
STAGES = dict(baseline="0.75", pruned=ORANGE, reconstructed=SKY, finetuned=BLUE, control="0.35")
BOX_COLOURS = plt.get_cmap("tab10")

CLASS = "class"
"""The gid of a text that is the name of a class, which no page translates."""
LONGEST, MANY = 25, 25
"""Letters of a name that are shown, and classes whose names stand upright below a plot."""


def plot_flops(plan: Plan, matched: Sequence[str] = ()) -> Figure:
    """Multiply-adds of each convolution in order; the filters in `matched` are framed."""
    table = plan.table()
    figure, axes = plt.subplots(figsize=(11, 3.5), layout="constrained")
    edges = ["black" if name in matched else "none" for name in table.index]
    colours = table["kind"].map(KINDS)
    axes.bar(_short(table.index), table["FLOPs after"] / 1e6, color=colours, edgecolor=edges)
    axes.tick_params("x", rotation=90, labelsize=7)
    axes.set_ylabel("million multiply-adds")
    axes.margins(x=0.01)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in KINDS.values()]
    axes.legend(handles, KINDS, title="convolution")
    return figure


def plot_channels(sweep: Sweep) -> Figure:
    """Share of channels left in each matched layer, one row a target_ratio, counts written in.

    At the row of the limit, the framed layers run out of channels; rows beyond it stay white.
    """
    layers = list(sweep.limit.ratios)
    limit = sweep.limit.saved
    found = {**sweep.plans, **dict.fromkeys(sweep.out_of_reach), limit: sweep.limit}
    rows = dict(sorted(found.items()))
    names = [f"limit: {target:.2f}" if target == limit else f"{target:g}" for target in rows]
    unpruned = np.array([sweep.limit.dependencies.shapes[name][0] for name in layers])
    counts = np.array(
        [[plan.shapes[name][0] if plan else np.nan for name in layers] for plan in rows.values()]
    )
    share = counts / unpruned
    figure, axes = plt.subplots(figsize=(11, 0.28 * len(rows) + 1.5), layout="constrained")
    image = axes.imshow(share, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    _write_in(axes, counts, "{:.0f}", share > 0.6)
    for name in sweep.runs_out:
        corner = layers.index(name) - 0.5, list(rows).index(limit) - 0.5
        axes.add_patch(
            plt.Rectangle(corner, 1, 1, fill=False, edgecolor="red", lw=3, clip_on=False)
        )
    axes.set_xticks(range(len(layers)), _short(layers), rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylabel("target_ratio")
    figure.colorbar(image, label="share of channels left")
    return figure


def plot_plan(plan: Plan) -> Figure:
    """Share of its channels that each layer keeps, of those that a plan cuts; counts written in."""
    layers = list(plan.ratios)
    before = np.array([plan.dependencies.shapes[name][0] for name in layers])
    after = np.array([plan.shapes[name][0] for name in layers])
    figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
    bars = axes.bar(_short(layers), np.ones(len(layers)), color="gainsboro")
    axes.bar(_short(layers), after / before, color=BLUE)
    counts = [f"{left}\nof {had}" for left, had in zip(after, before, strict=True)]
    axes.bar_label(bars, counts, size=8)
    axes.set_ylim(0, 1.25)
    axes.tick_params("x", rotation=45, labelsize=8)
    axes.set_ylabel("share of channels left")
    return figure


def plot_sensitivities(sensitivities: Sensitivities) -> Figure:
    """What the metric loses when one layer alone is cut: a column a layer, a row a share cut."""
    layers = list(sensitivities.lost)
    ratios = sorted({ratio for lost in sensitivities.lost.values() for ratio in lost})
    lost = np.array([[sensitivities.lost[n].get(r, np.nan) for n in layers] for r in ratios])
    figure, axes = plt.subplots(figsize=(11, 0.4 * len(ratios) + 1.6), layout="constrained")
    image = axes.imshow(lost, cmap="magma_r", vmin=0, aspect="auto")
    _write_in(axes, lost, "{:.2f}", lost < 0.5 * np.nanmax(lost))
    axes.set_xticks(range(len(layers)), _short(layers), rotation=45, ha="right")
    axes.set_yticks(range(len(ratios)), [f"{ratio:g}" for ratio in ratios])
    axes.set_ylabel("share cut")
    figure.colorbar(image, label="mAP lost")
    return figure


def plot_latency(measured: Mapping[int, float], plans: Mapping[str, tuple[Plan, float]]) -> Figure:
    """Milliseconds against the work: a line through what was measured, and plans beside it.

    Args:
        measured: milliseconds by FLOPs.
        plans: a plan and its milliseconds, by what they are to be called.
    """
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    flops, times = zip(*sorted(measured.items()), strict=True)
    axes.plot(np.array(flops) / 1e6, times, "o-", color="grey", label="a line through three plans")
    for name, (plan, milliseconds) in plans.items():
        axes.plot(plan.flops / 1e6, milliseconds, "X", ms=10, label=name)
    axes.set(xlabel="million multiply-adds", ylabel="ms an image", xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def plot_history(compressed: History, control: History) -> Figure:
    """mAP against epochs, of the pruned network and of the control."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.set_prop_cycle(color=[STAGES["control"], STAGES["finetuned"]])
    for name, history in (("control", control), ("pruned", compressed)):
        # A cut is a drop at one moment: the values before and after it share their epoch.
        epochs = [row["epoch"] for row in history.rows]
        axes.plot(epochs, [row["map"] for row in history.rows], "o-", label=name)
    for row in compressed.rows:
        if row["stage"] in ("pruned", "reconstructed"):
            place = (row["epoch"], row["map"])
            axes.annotate(row["stage"], place, (6, -6), textcoords="offset points", va="top")
    axes.xaxis.get_major_locator().set_params(integer=True)
    # As near as the values are to each other: most of the difference is in the third digit.
    axes.set(xlabel="epochs of fine-tuning", ylabel="mAP on the test images")
    axes.margins(y=0.1)
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))  # never on a curve
    return figure


def plot_ap_by_class(classes: Sequence[str], values: Mapping[str, Sequence[float]]) -> Figure:
    """AP of each class, a group of bars a class and a colour a stage.

    Args:
        values: by stage, the AP of each class, the background's first. A class with none, since
            it has no object to measure, is left out.
    """
    measured = np.array([*values.values()], float)[:, 1:]
    known = ~np.isnan(measured).all(axis=0)
    names = [name for name, is_known in zip(_brief(classes), known, strict=True) if is_known]
    figure, axes = plt.subplots(figsize=(11, 3.5), layout="constrained")
    width = 0.8 / len(values)
    for i, (stage, ap) in enumerate(zip(values, measured[:, known], strict=True)):
        places = np.arange(len(names)) + (i - (len(values) - 1) / 2) * width
        axes.bar(places, ap, width, color=STAGES[stage], label=stage)
    style = {"rotation": 30, "ha": "right"}
    if len(names) > MANY:
        style = {"rotation": 90, "fontsize": 7}
    axes.set_xticks(range(len(names)), names, **style)
    axes.margins(x=0.01)
    for tick in axes.xaxis.get_major_ticks():
        for label in (tick.label1, tick.label2):
            label.set_gid(CLASS)
    axes.set(ylabel="AP", ylim=(0, 1.02))
    axes.legend(ncols=len(values), loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def plot_norms(norms: np.ndarray, cut: int, name: str) -> Figure:
    """The l1 norms [C] of a layer's filters, sorted; the `cut` smallest in another colour."""
    figure, axes = plt.subplots(figsize=(8, 2.5), layout="constrained")
    colours = [ORANGE] * cut + [BLUE] * (len(norms) - cut)
    axes.bar(range(len(norms)), np.sort(norms), color=colours)
    axes.set(xlabel=f"filters of {name}, sorted", ylabel="l1 norm")
    axes.margins(x=0.01)
    return figure


def plot_ranking(norms: np.ndarray, elimination: Elimination, cut: int, name: str) -> Figure:
    """A layer's channels by l1 norm [C] and by elimination, and what it costs to cut some."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    by_norm, chosen = np.argsort(norms)[:cut], elimination.order[:cut]
    places = elimination.importance
    for channels, label, colour in (
        (np.delete(np.arange(len(norms)), np.union1d(by_norm, chosen)), "stays", "0.75"),
        (np.setdiff1d(by_norm, chosen), "goes by its norm alone", ORANGE),
        (np.setdiff1d(chosen, by_norm), "goes by reconstruction alone", BLUE),
        (np.intersect1d(by_norm, chosen), "goes by both", "black"),
    ):
        left.scatter(norms[channels], places[channels], s=12, color=colour, label=label)
    left.set(title=f"channels of {name}", xlabel="l1 norm", ylabel="place by reconstruction")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    right.plot(np.arange(len(norms)), elimination.errors, color=BLUE)
    right.axvline(cut, color="0.35", ls="--")
    right.set(title="what the next layers lose", ylabel="share of their outputs")
    right.set_xlabel("channels gone (dashed: as many as the plan cuts)")
    return figure


def plot_truth(
    views: Sequence[tuple[Image.Image, np.ndarray, np.ndarray]], classes: Sequence[str]
) -> Figure:
    """Images with their ground truth: boxes [G, 4] normalised, labels [G] from 1."""
    boxes = [
        np.column_stack([labels, np.full(len(labels), np.nan), boxes]) for _, boxes, labels in views
    ]
    return plot_images([image for image, _, _ in views], boxes, classes)


def plot_images(
    images: Sequence[Image.Image],
    boxes: Sequence[np.ndarray],
    classes: Sequence[str],
    titles: Sequence[str] | None = None,
    columns: int = 3,
) -> Figure:
    """Images with boxes drawn on them.

    Args:
        boxes: for each image [K, 6]: label, score, box normalised to 0..1; a score of nan is
            ground truth and is not written.
        classes: names, without the background.
    """
    classes, titles = _brief(classes), titles and shown(titles)
    rows = -(-len(images) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3.4 * rows), layout="constrained", squeeze=False
    )
    for i, axes in enumerate(grid.flat):
        axes.axis("off")
        if i < len(images):
            image = images[i].copy()
            image.thumbnail((1000, 1000))  # matplotlib takes seconds for a large photograph
            axes.imshow(image)
            _draw_boxes(axes, boxes[i], image.size, classes)
            axes.set_title(titles[i] if titles else "", fontsize=9)
    return figure


def _draw_boxes(
    axes: Axes, boxes: np.ndarray, size: tuple[int, int], classes: Sequence[str]
) -> None:
    width, height = size
    # The best last, on top of the others.
    for label, score, *corners in boxes[np.argsort(boxes[:, 1], kind="stable")]:
        left, top, right, bottom = np.array(corners) * np.tile(size, 2)
        colour = BOX_COLOURS(int(label) % 10)
        axes.add_patch(
            plt.Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, lw=2)
        )
        name = classes[int(label) - 1]
        text = name if np.isnan(score) else f"{name} {score:.2f}"
        style = {"facecolor": colour, "edgecolor": "none", "pad": 1}
        # Inside the image, which has the room to itself: no name makes it smaller.
        is_right, is_top = left > width / 2, top < height / 12
        written = axes.text(
            min(right, width) if is_right else max(left, 0),
            max(top, 0),
            text,
            color="white",
            fontsize=7,
            ha="right" if is_right else "left",
            va="top" if is_top else "bottom",
            bbox=style,
            clip_on=True,
            gid=CLASS,
        )
        written.set_in_layout(False)


def _write_in(axes: Axes, values: np.ndarray, form: str, is_light: np.ndarray) -> None:
    """Write each value of a grid into its cell, in black where the cell is light."""
    for place, value in np.ndenumerate(values):
        if not np.isnan(value):
            style = {"color": "black" if is_light[place] else "white", "size": 8}
            axes.text(*place[::-1], form.format(value), ha="center", va="center", **style)


def _brief(classes: Sequence[str]) -> list[str]:
    """Names of classes as plots show them: of a long one, only the beginning."""
    return shown([c if len(c) <= LONGEST else f"{c[: LONGEST - 1]}…" for c in classes])


def _short(names: Sequence[str]) -> list[str]:
    return [n.removesuffix(".w_0").replace("depthwise_conv2d", "dw") for n in names]
