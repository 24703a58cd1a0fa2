"""Tables and plots of results/results.json, for results/README.md and the project's README."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ssd_model.files import write_file
from study.tables import Table, fill
from study.trials import EPOCHS

Rows = list[dict[str, Any]]

COMPARED_AT = 0.5
"""The target_ratio at which ways of pruning are compared."""


def main_table(rows: Rows) -> Table:
    """One line a target_ratio, by the standard recipe; means over the seeds."""
    table = [
        ["target_ratio", "FLOPs, M", "parameters, M", "file, MB", "latency, ms",
         "mAP pruned", "reconstructed", "finetuned", "control", "difference", "seeds"]
    ]  # fmt: skip
    for target, group in standard(rows).groupby("target_ratio"):
        first, cut = group.iloc[0], bool(target)
        share = first["flops_after"] / first["flops_before"]
        latency = first["latency_ms_after"]
        quicker = f" ({latency / first['latency_ms_before']:.2f})" if latency else ""
        table.append(
            [
                f"{target:g}" if cut else "0 (control)",
                f"{first['flops_after'] / 1e6:.0f} ({share:.2f})",
                f"{first['parameters_after'] / 1e6:.2f}",
                _number(first["file_bytes_after"] and first["file_bytes_after"] / 1e6, ".1f"),
                _number(latency, ".1f") + quicker,
                _number(group["map_pruned"].mean() if cut else None),
                _number(group["map_reconstructed"].mean() if cut else None),
                _spread(group["map_finetuned"]),
                _number(group["map_control"].mean()) if cut else "",
                _number((group["map_finetuned"] - group["map_control"]).mean(), "+.3f")
                if cut
                else "",
                str(len(group)),
            ]
        )
    return table


def method_table(rows: Rows) -> Table:
    """Ways of pruning at `COMPARED_AT`, and their controls; one seed."""
    table = [["what", "pruned", "reconstructed", "finetuned"]]
    for row in rows:
        if row["seed"] == 0 and row["target_ratio"] in (0, COMPARED_AT):
            values = (row["map_pruned"], row["map_reconstructed"], row["map_finetuned"])
            table.append([_describe(row), *map(_number, values)])
    return table


def class_table(rows: Rows) -> Table:
    """AP of each class at `COMPARED_AT`, seed 0, the class that the cut hurt most first."""
    (row,) = standard(rows).query("target_ratio == @COMPARED_AT and seed == 0").to_dict("records")
    (control,) = standard(rows).query("target_ratio == 0 and seed == 0").to_dict("records")
    table = [["class", "baseline", "pruned", "reconstructed", "finetuned", "control"]]
    lost = sorted(
        row["ap_by_class"],
        key=lambda name: (
            row["ap_by_class"][name]["finetuned"] - control["ap_by_class"][name]["finetuned"]
        ),
    )
    for name in lost:
        stages = row["ap_by_class"][name]
        values = [stages[s] for s in ("baseline", "pruned", "reconstructed", "finetuned")]
        values.append(control["ap_by_class"][name]["finetuned"])
        table.append([name, *map(_number, values)])
    return table


def standard(rows: Rows) -> pd.DataFrame:
    """The rows of the standard recipe: uniform, by l1_norm, reconstructed where cut, no teacher."""
    frame = pd.DataFrame(rows)
    uniform = (frame["strategy"] == "uniform") & (frame["criterion"] == "l1_norm")
    reconstructed = (frame["reconstruct_images"] > 0) | (frame["target_ratio"] == 0)
    return frame[uniform & reconstructed & ~frame["teacher"] & (frame["epochs"] == EPOCHS)]


def plot_map_against(rows: Rows, column: str, label: str, unit: float = 1) -> Figure:
    """mAP against a cost of the network: pruned, reconstructed, finetuned.

    Args:
        column: the cost's key without '_before' or '_after'.
    """
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    groups = standard(rows).groupby("target_ratio")
    cost = groups[f"{column}_after"].first() * unit
    control = groups.get_group(0)["map_finetuned"]
    for stage, style in (("pruned", "v:"), ("reconstructed", "s--"), ("finetuned", "o-")):
        values = groups[f"map_{stage}"]
        mean = values.mean()
        if stage != "finetuned":
            mean.loc[0] = groups.get_group(0)["map_baseline"].mean()
        spread = [mean - values.min().fillna(mean), values.max().fillna(mean) - mean]
        spread = [side.clip(lower=0).fillna(0) for side in spread]
        axes.errorbar(cost, mean, spread, fmt=style, capsize=4, label=stage)
    axes.axhline(control.mean(), color="grey", lw=1, label="control")
    for target in cost.index:
        text = f"{target:g}" if target else "unpruned"
        place = (cost[target], control.mean())
        axes.annotate(text, place, (0, 8), textcoords="offset points", ha="center")
    axes.set(xlabel=label, ylabel="mAP on test scenes", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def write_page(folder: Path, rows: Rows, readme: Path) -> None:
    """CSV, plots and the tables in both pages."""
    flat = pd.DataFrame(rows).drop(columns=["ap_by_class", "classes", "ratios", "versions"])
    write_file(folder / "results.csv", flat.to_csv(index=False).encode())
    for name, column, label, unit in (
        ("map_flops", "flops", "million multiply-adds", 1e-6),
        ("map_latency", "latency_ms", "latency of one image, ms", 1),
    ):
        figure = plot_map_against(rows, column, label, unit)
        figure.savefig(folder / f"{name}.png", dpi=110)
        plt.close(figure)
    for page in (folder / "README.md", readme):
        text = page.read_text(encoding="utf-8")
        write_file(page, fill(text, tables(rows)).encode())


def tables(rows: Rows) -> dict[str, Table]:
    """Every table of the two pages, by its mark."""
    return {"ratios": main_table(rows), "methods": method_table(rows), "classes": class_table(rows)}


def _describe(row: dict[str, Any]) -> str:
    words = [row["strategy"], row["criterion"]] if row["target_ratio"] else ["control"]
    words += ["reconstructed"] * bool(row["reconstruct_images"]) + ["teacher"] * row["teacher"]
    words.append("one pass" if row["epochs"] == 1 else f"{row['epochs']} passes")
    return ", ".join(words)


def _number(value: float | None, form: str = ".3f") -> str:
    return "" if value is None or pd.isna(value) else format(value, form)


def _spread(values: pd.Series) -> str:
    """The mean, and the range if there are several."""
    if len(values) == 1:
        return _number(values.iloc[0])
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"
