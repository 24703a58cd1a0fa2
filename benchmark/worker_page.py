"""Several workers as tables, a plot, and a model of many machines: docs/workers.md."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmark.page import machine_table, network_name
from ssd_model.files import write_file
from study.tables import Table, fill
from utils.paths import ROOT
from utils.plots import BLUE, GREEN, ORANGE

PAGE = ROOT / "docs" / "workers.md"
MACHINES = np.arange(1, 33)
MODEL_RATES = {10.0: BLUE, 1.0: GREEN, 0.1: ORANGE}
"""Gbit/s, and the colour of each in the plot."""
PLOT = "![Images a second against the number of machines](results/workers.png)\n"


def adding_up_ms(machines, megabytes: float, gigabits: float, latency_ms: float):
    """How long the model says it takes to add a piece up over some machines, in milliseconds.

    In a ring, as gloo does it: in 2 (N - 1) turns, each machine sends an N-th of the piece to the
    next one, while as much comes from the one before it.

    Args:
        machines: how many, or an array of such numbers.
        megabytes: of the piece.
        gigabits: a second that the network lets through from each machine.
        latency_ms: of a message.
    """
    return 2 * (machines - 1) * (latency_ms + 8 * megabytes / gigabits / machines)


def model_facts(hosts: list[dict[str, Any]]) -> dict[str, float]:
    """What the model takes from the measurement of two hosts."""
    unlimited = next(row["milliseconds"] for row in hosts if row["gigabits"] is None)
    computed = float(np.median([row["milliseconds"]["beside"] for row in hosts]))
    calls, latency = hosts[0]["calls"], unlimited["one number"] / 2  # two turns
    return {
        "compute_ms": computed,
        "together_ms": unlimited["step"] - computed - calls * unlimited["one number"],
        "megabytes": hosts[0]["megabytes"],
        "calls": calls,
        "latency_ms": latency,
    }


def step_ms(machines, gigabits: float, facts: dict[str, float]):
    """How long the model says a training step takes, in milliseconds; see `adding_up_ms`."""
    # One call adds the gradients up; the others, batch norm's sums, are too small to take longer.
    latency = facts["calls"] * facts["latency_ms"]
    sending = adding_up_ms(machines, facts["megabytes"], gigabits, latency)
    return facts["compute_ms"] + (machines > 1) * facts["together_ms"] + sending


def speed_table(result: dict[str, Any]) -> Table:
    """One process beside several workers: milliseconds an image, and memory."""
    (few, ones), (many, others) = sorted(_by_workers(result).items())
    names = (f"{few} process", f"{many} workers")
    columns = [f"{name}, {what}" for what in ("ms an image", "MB") for name in names]
    table = [["network", *columns[:2], "ratio", *columns[2:]]]
    for one, other in zip(ones, others, strict=True):
        times = [one["milliseconds"]["alone"], other["milliseconds"]["step"]]
        table.append([
            network_name(one["target_ratio"]),
            *(f"{time / result['images']:.1f}" for time in times),
            f"{times[1] / times[0]:.2f}",
            *(f"{row['memory_mb']:.0f}" for row in (one, other)),
        ])  # fmt: skip
    return table


def parts_table(result: dict[str, Any]) -> Table:
    """Where a worker's step goes, in milliseconds, and what one process takes for the batch."""
    (_, ones), (_, others) = sorted(_by_workers(result).items())
    columns = []
    for one, other in zip(ones, others, strict=True):
        times = other["milliseconds"]
        stairs = [0.0, *(times[name] for name in ("alone", "beside", "prepared", "step"))]
        columns.append([
            *np.diff(stairs), times["step"],
            times["adding up"], other["megabytes"], one["milliseconds"]["alone"],
        ])  # fmt: skip
    names = (
        "one worker computes its share, alone",
        "extra, when all compute at once",
        "extra, to prepare what is added up",
        "extra, to add up and wait for each other",
        "together: a step",
        "for comparison: adding the gradients up alone",
        "size of the gradients, MB",
        "for comparison: a step of one process on all cores",
    )
    networks = [network_name(row["target_ratio"]) for row in ones]
    lines = zip(names, *columns, strict=True)
    return [["part", *networks], *([name, *(f"{n:.1f}" for n in line)] for name, *line in lines)]


def model_table(result: dict[str, Any]) -> Table:
    """What the model is given."""
    table = [["what the model is given", "measured"]]
    if not result["hosts"]:
        return [*table, [_reason(result), ""]]
    facts = model_facts(result["hosts"])
    return [
        *table,
        ["images of each machine in a step", f"{result['images'] // 2}"],
        ["computing, ms", f"{facts['compute_ms']:.0f}"],
        ["preparing what is added up, and waiting, ms", f"{facts['together_ms']:.0f}"],
        ["size of the gradients, MB", f"{facts['megabytes']:.1f}"],
        ["times that something is added up in a step", f"{facts['calls']}"],
        ["latency of a message, ms", f"{facts['latency_ms']:.2f}"],
    ]


def hosts_table(result: dict[str, Any]) -> Table:
    """Two hosts, by what their cable lets through: measured, and as the model says."""
    columns = ["adding up, ms", "by the model", "a step, ms", "by the model"]
    table = [["network between two machines", *columns]]
    if not result["hosts"]:
        return [*table, [_reason(result), *[""] * 4]]
    facts = model_facts(result["hosts"])
    for row in result["hosts"]:
        rate, times = row["gigabits"], row["milliseconds"]
        name, added, step = "no limit", "", ""  # the model is made from that
        if rate:
            sent = adding_up_ms(2, facts["megabytes"], rate, facts["latency_ms"])
            name, added, step = _rate(rate), f"{sent:.0f}", f"{step_ms(2, rate, facts):.0f}"
        table.append([name, f"{times['adding up']:.0f}", added, f"{times['step']:.0f}", step])
    return table


def tables(result: dict[str, Any]) -> dict[str, Table]:
    """Make the tables of the page, by the names of their marks."""
    return {
        "workers-machine": machine_table(result),
        "workers-speed": speed_table(result),
        "workers-parts": parts_table(result),
        "workers-model": model_table(result),
        "workers-hosts": hosts_table(result),
    }


def write_page(folder: Path, result: dict[str, Any], page: Path = PAGE) -> None:
    """The tables and the plot in docs/workers.md; the plot's file in a folder.

    Where there were no hosts, there is no plot.
    """
    parts = tables(result) | {"workers-plot": PLOT if result["hosts"] else ""}
    write_file(page, fill(page.read_text(encoding="utf-8"), parts).encode())
    if result["hosts"]:
        plot(result).savefig(folder / "workers.png", dpi=110)
        plt.close()


def plot(result: dict[str, Any]) -> Figure:
    """Images a second by the number of machines: curves of the model, and what was measured."""
    facts, images = model_facts(result["hosts"]), result["images"] // 2
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")

    def draw(machines, milliseconds, *style: str, **how: Any) -> None:
        axes.plot(machines, 1e3 * images * machines / milliseconds, *style, **how)

    draw(MACHINES, facts["compute_ms"], ":", color="grey", label="if nothing had to be added up")
    for rate, colour in MODEL_RATES.items():
        times = step_ms(MACHINES, rate, facts)
        draw(MACHINES, times, color=colour, label=f"{_rate(rate)}, model")
    for row in result["hosts"]:
        if rate := row["gigabits"]:
            how = {"color": MODEL_RATES[rate], "mec": "black", "label": f"{_rate(rate)}, measured"}
            draw(2, row["milliseconds"]["step"], "o", **how)
    axes.set(xlabel=f"machines, each with {images} images in a step", ylabel="images a second")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _by_workers(result: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    counts = {row["workers"] for row in result["here"]}
    return {n: [row for row in result["here"] if row["workers"] == n] for n in counts}


def _rate(gigabits: float) -> str:
    return f"{gigabits:g} Gbit/s" if gigabits >= 1 else f"{1000 * gigabits:g} Mbit/s"


def _reason(result: dict[str, Any]) -> str:
    return f"not measured: {result['no_hosts']}"
