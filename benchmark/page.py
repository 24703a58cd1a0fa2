"""The benchmark as tables, bars held or missed, and plots."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from ssd_model.weights import write_file

OURS = "Paddle, OpenVINO"
"""The engine that the notebooks use."""
ONEDNN = "Paddle, oneDNN"
OTHERS = ("ONNX Runtime", "OpenVINO")


def latency_table(result: dict[str, Any]) -> pd.DataFrame:
    """Milliseconds of a batch, by engine."""
    frame = pd.DataFrame(result["latency"])
    table = frame.pivot(index="engine", columns=["batch", "target_ratio"], values="milliseconds")
    table["peak, MB"] = frame.groupby("engine")["peak_mb"].max()
    return table.round(1)


def bars(result: dict[str, Any]) -> pd.DataFrame:
    """Each promise: what was measured, what is allowed, and whether it was held."""
    rows = []

    def bar(what: str, measured: float, allowed: float) -> None:
        rows.append({"what": what, "measured": measured, "at most": allowed})

    frame = (
        pd.DataFrame(result["latency"]).set_index(["engine", "batch", "target_ratio"]).sort_index()
    )
    for batch in sorted({row["batch"] for row in result["latency"]}):
        ours = frame.loc[OURS, batch]
        whole = ours.loc[0.0]
        for ratio in ours.index[ours.index > 0]:
            share = ours.loc[ratio, "flops"] / whole["flops"]
            quicker = ours.loc[ratio, "milliseconds"] / whole["milliseconds"]
            bar(f"latency, {ratio:g} cut / whole, batch {batch}", quicker, share + 0.05)
        for ratio in ours.index:
            others = [frame.loc[(engine, batch, ratio), "milliseconds"] for engine in OTHERS]
            quickest = ours.loc[ratio, "milliseconds"] / min(others)
            bar(f"{OURS} / quickest other, {ratio:g}, batch {batch}", quickest, 1.05)
    training = pd.DataFrame(result["training"]).set_index(["framework", "target_ratio"])
    for ratio, paddle in training.loc["paddle"].iterrows():
        torch = training.loc[("torch", ratio)]
        for name, allowed in (("train", 1.0), ("evaluate", 1.1)):
            measured = paddle[f"{name}_ms_an_image"] / torch[f"{name}_ms_an_image"]
            bar(f"{name} / PyTorch, {ratio:g}", measured, allowed)
        bar(f"waiting for data, {ratio:g}", paddle["wait_share"], 0.05)
    bar("search and cut, seconds", result["planning_seconds"]["here"], 2.0)
    table = pd.DataFrame(rows).set_index("what")
    table["held"] = (table["measured"] <= table["at most"]).map({True: "yes", False: "no"})
    return table.round(3)


def write_page(path: Path, result: dict[str, Any]) -> str:
    """Write all tables to a file, and return them."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    parts = [
        f"{result['machine']}\n{versions}",
        "Milliseconds of a batch, by batch and target_ratio",
        latency_table(result).to_string(),
        "Training and evaluation, milliseconds an image",
        pd.DataFrame(result["training"]).round(3).to_string(index=False),
        "Seconds to search and cut (paddleslim only cuts)",
        pd.Series(result["planning_seconds"]).round(2).to_string(),
        "Bars",
        bars(result).to_string(),
    ]
    text = "\n\n".join(parts) + "\n"
    write_file(path, text.encode())
    return text


def plot_growth(folder: Path, grown: dict[str, list[dict[str, Any]]]) -> None:
    """Latency against the batch, the image's size, and the FLOPs left."""
    plots = {"batch": _plot_sizes, "image_size": _plot_sizes, "target_ratio": _plot_ratios}
    for name, rows in grown.items():
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        plots[name](axes, pd.DataFrame(rows), name)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"{name}.png", dpi=110)
        plt.close(figure)


def _plot_sizes(axes, frame: pd.DataFrame, name: str) -> None:
    for ratio, line in frame.groupby("target_ratio"):
        axes.plot(line[name], line["milliseconds"], "o-", label=f"{ratio:g} of the FLOPs cut")
    axes.set(xlabel=name.replace("_", " "), ylabel="ms", ylim=(0, None))


def _plot_ratios(axes, frame: pd.DataFrame, _) -> None:
    """Where fewer channels don't mean less time: the engine, and what channels are rounded to."""
    for (engine, multiple), line in frame.groupby(["engine", "channel_multiple"]):
        whole = line["milliseconds"][line["flops"].idxmax()]
        style = "o-" if multiple == 1 else "s--"
        label = (
            f"{engine}, channels as they come" if multiple == 1 else f"in multiples of {multiple}"
        )
        axes.plot(
            line["flops"] / line["flops"].max(), line["milliseconds"] / whole, style, label=label
        )
    axes.axline((1, 1), slope=1, color="grey", lw=1, label="as the FLOPs")
    axes.set(xlabel="FLOPs left", ylabel="latency left", xlim=(0, 1.05), ylim=(0, None))
