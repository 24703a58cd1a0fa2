"""The benchmark as tables, bars held or missed, and plots: results/speed.md."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from ssd_model.files import write_file
from study.tables import Table, fill

OURS = "Paddle, OpenVINO"
"""The engine that the notebooks use."""
ONEDNN = "Paddle, oneDNN"
OTHERS = ("ONNX Runtime", "OpenVINO")


def machine_table(result: dict[str, Any]) -> Table:
    """The machine, and the version of everything that ran on it."""
    return [["machine", result["machine"]], *map(list, result["versions"].items())]


def latency_table(result: dict[str, Any]) -> Table:
    """Milliseconds of a batch, and the peak memory, by engine."""
    frame = pd.DataFrame(result["latency"])
    batches, ratios = sorted(frame["batch"].unique()), sorted(frame["target_ratio"].unique())
    columns = [(batch, ratio) for batch in batches for ratio in ratios]
    names = [f"batch {batch}, {network_name(ratio)}" for batch, ratio in columns]
    table = [["engine", *names, "peak memory, MB"]]
    for engine, rows in frame.groupby("engine", sort=False):
        times = rows.set_index(["batch", "target_ratio"])["milliseconds"]
        cells = [f"{times[column]:.1f}" for column in columns]
        table.append([engine, *cells, f"{rows['peak_mb'].max():.0f}"])
    return table


def training_table(result: dict[str, Any]) -> Table:
    """Milliseconds an image of a training step and of an evaluation, by framework."""
    table = [["framework", "network", "training, ms an image", "evaluation, ms an image"]]
    for row in result["training"]:
        times = (row[f"{name}_ms_an_image"] for name in ("train", "evaluate"))
        network = network_name(row["target_ratio"])
        table.append([NAMES[row["framework"]], network, *(f"{time:.1f}" for time in times)])
    return table


NAMES = {"paddle": "Paddle, static Programs", "torch": "PyTorch, eager, channels_last"}


def operator_table(result: dict[str, Any]) -> Table:
    """Where a training step's time goes; whether a second thread helps."""
    by_threads = pd.DataFrame(result["operators"]).fillna(0.0)
    by_threads.columns = [f"{threads} thread{'s' * (threads != '1')}" for threads in by_threads]
    by_threads = by_threads.sort_values(by_threads.columns[-1], ascending=False)
    least = by_threads.iloc[TOP:].sum().rename("all others")
    lines = [*by_threads.iloc[:TOP].iterrows(), (least.name, least)]
    table = [["operator", *by_threads.columns]]
    for name, times in [*lines, ("together", by_threads.sum())]:
        table.append([name, *(f"{time:.1f}" for time in times)])
    return table


TOP = 12
"""Operators with a line of their own."""


def planning_table(result: dict[str, Any]) -> Table:
    """Seconds to plan and to cut, and what the loader does."""
    seconds = result["planning_seconds"]
    ours = [row for row in result["training"] if row["framework"] == "paddle"]
    table = [
        ["what", "measured"],
        ["search and cut of both Programs", f"{seconds['here']:.1f} s"],
        ["`paddleslim.prune.Pruner`, the cut alone", f"{seconds['paddleslim']:.1f} s"],
    ]
    for row in ours:
        loaded, waited = row["loader_images_per_second"], row["wait_share"]
        network = network_name(row["target_ratio"])
        table.append([f"loader alone, beside {network}", f"{loaded:.0f} images a second"])
        table.append([f"waiting for the loader, {network}", f"{waited:.1%} of a step"])
    return table


def bars(result: dict[str, Any]) -> Table:
    """Each promise: what was measured, what is allowed, and whether it was held."""
    table = [["ratio or time", "measured", "at most", "held"]]

    def bar(what: str, measured: float, allowed: float) -> None:
        held = "yes" if measured <= allowed else "**no**"
        table.append([what, f"{measured:.3f}", f"{allowed:.3f}", held])

    frame = (
        pd.DataFrame(result["latency"]).set_index(["engine", "batch", "target_ratio"]).sort_index()
    )
    for batch in sorted({row["batch"] for row in result["latency"]}):
        ours = frame.loc[OURS, batch]
        unpruned = ours.loc[0.0]
        for ratio in ours.index[ours.index > 0]:
            share = ours.loc[ratio, "flops"] / unpruned["flops"]
            quicker = ours.loc[ratio, "milliseconds"] / unpruned["milliseconds"]
            bar(f"latency, {network_name(ratio)} / unpruned, batch {batch}", quicker, share + 0.05)
        for ratio in ours.index:
            others = [frame.loc[(engine, batch, ratio), "milliseconds"] for engine in OTHERS]
            quickest = ours.loc[ratio, "milliseconds"] / min(others)
            bar(
                f"{OURS} / the quickest other, {network_name(ratio)}, batch {batch}", quickest, 1.05
            )
    training = pd.DataFrame(result["training"]).set_index(["framework", "target_ratio"])
    for ratio, paddle in training.loc["paddle"].iterrows():
        torch = training.loc[("torch", ratio)]
        for name, allowed in (("train", 1.0), ("evaluate", 1.1)):
            measured = paddle[f"{name}_ms_an_image"] / torch[f"{name}_ms_an_image"]
            bar(f"{name} / PyTorch, {network_name(ratio)}", measured, allowed)
        bar(f"waiting for data, share of a step, {network_name(ratio)}", paddle["wait_share"], 0.05)
    bar("search and cut, seconds", result["planning_seconds"]["here"], 2.0)
    return table


def tables(result: dict[str, Any]) -> dict[str, Table]:
    """Every table of the page, by its mark."""
    return {
        "machine": machine_table(result),
        "bars": bars(result),
        "latency": latency_table(result),
        "training": training_table(result),
        "operators": operator_table(result),
        "planning": planning_table(result),
    }


def write_page(folder: Path, result: dict[str, Any]) -> None:
    """The tables in speed.md, and its plots."""
    page = folder / "speed.md"
    text = page.read_text(encoding="utf-8")
    write_file(page, fill(text, tables(result)).encode())
    plots = {"batch": _plot_sizes, "image_size": _plot_sizes, "target_ratio": _plot_ratios}
    for name, rows in result["growth"].items():
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        plots[name](axes, pd.DataFrame(rows), name)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"speed_{name}.png", dpi=110)
        plt.close(figure)


def _plot_sizes(axes, frame: pd.DataFrame, name: str) -> None:
    """Latency against the batch, or the image's side."""
    for ratio, line in frame.groupby("target_ratio"):
        axes.plot(line[name], line["milliseconds"], "o-", label=network_name(ratio))
    axes.set(xlabel=name.replace("_", " "), ylabel="ms", ylim=(0, None))


def _plot_ratios(axes, frame: pd.DataFrame, _) -> None:
    """Where fewer channels don't mean less time: by engine, and what channels are rounded to."""
    # Timed once for each rounding, though it is one network.
    unpruned = frame[frame["target_ratio"] == 0].groupby("engine")["milliseconds"].min()
    for (engine, multiple), line in frame.groupby(["engine", "channel_multiple"]):
        rounded = f"multiples of {multiple}" if multiple > 1 else "channels as they come"
        x, y = line["flops"] / line["flops"].max(), line["milliseconds"] / unpruned[engine]
        axes.plot(x, y, "s--" if multiple > 1 else "o-", label=f"{engine}, {rounded}")
    axes.axline((1, 1), slope=1, color="grey", lw=1, label="as the FLOPs")
    axes.set(xlabel="FLOPs left", ylabel="latency left", xlim=(0, 1.05), ylim=(0, None))


def network_name(ratio: float) -> str:
    """How the tables call a network, by how much of it was cut."""
    return f"-{ratio:.0%}" if ratio else "unpruned"
