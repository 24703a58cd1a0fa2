"""Tables and plots of results/results.json, for results/README.md and the project's README."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from pruning.history import STAGES
from ssd_model.files import write_file
from study.tables import Table, fill
from study.trials import EPOCHS
from utils.plots import BLUE, GREEN, ORANGE

Rows = list[dict[str, Any]]

COMPARED_AT = 0.5
"""The target_ratio at which ways of pruning are compared."""
WAYS = {
    ("uniform", "l1_norm"): "l1_norm",
    ("uniform", "reconstruction"): "reconstruction",
    ("budget", "reconstruction"): "reconstruction, budget",
}
"""How channels are chosen in the main table, by strategy and criterion: as the original did, as the
notebooks do, and with a budget over all layers."""
COLOURS = dict(zip(WAYS.values(), (ORANGE, BLUE, GREEN), strict=True))


def main_table(rows: Rows) -> Table:
    """One line a target_ratio and way of choosing channels; means over the seeds."""
    table = [
        ["target_ratio", "channels chosen by", "FLOPs, M", "parameters, M", "file, MB",
         "latency, ms", "pruned", "reconstructed", "finetuned", "control", "difference", "seeds"]
    ]  # fmt: skip
    for (target, way), group in standard(rows).groupby(["target_ratio", "way"], observed=True):
        first, cut = group.iloc[0], bool(target)
        share = first["flops_after"] / first["flops_before"]
        latency = first["latency_ms_after"]
        quicker = f" ({latency / first['latency_ms_before']:.2f})" if latency else ""
        lost = group["map_finetuned"] - group["map_control"]
        table.append(
            [
                f"{target:g}" if cut else "0 (control)",
                way if cut else "",
                f"{first['flops_after'] / 1e6:.0f} ({share:.2f})",
                f"{first['parameters_after'] / 1e6:.2f}",
                _number(first["file_bytes_after"] and first["file_bytes_after"] / 1e6, ".1f"),
                _number(latency, ".1f") + quicker,
                _number(group["map_pruned"].mean() if cut else None),
                _number(group["map_reconstructed"].mean() if cut else None),
                _spread(group["map_finetuned"]),
                _number(group["map_control"].mean()) if cut else "",
                _number(lost.mean(), "+.3f") if cut else "",
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


def repair_table(repairs: Rows) -> Table:
    """Criteria right after the cut and the repair, before any training."""
    table = [["channels chosen by", "pruned", "reconstructed, heads kept", "heads refitted, too"]]
    keys = ("map_pruned", "map_heads_kept", "map_reconstructed")
    return table + [[row["criterion"], *(_number(row[key]) for key in keys)] for row in repairs]


def budget_table(budgets: Rows) -> Table:
    """Budgets over multiply-adds and over milliseconds, the slowest network first."""
    table = [["budget", "target_ratio", "latency, ms", "FLOPs, M", "reconstructed"]]
    for row in sorted(budgets, key=lambda row: -row["latency_ms_after"]):
        after = row["latency_ms_after"]
        table.append(
            [
                row["budget"],
                f"{row['target_ratio']:g}",
                f"{after:.1f} ({after / row['latency_ms_before']:.2f})",
                f"{row['flops_after'] / 1e6:.0f}",
                _number(row["map_reconstructed"]),
            ]
        )
    return table


def class_table(rows: Rows) -> Table:
    """AP of each class at `COMPARED_AT`, chosen by reconstruction; most hurt first."""
    frame = standard(rows)
    controls = frame[frame["target_ratio"] == 0]
    pruned = frame[(frame["target_ratio"] == COMPARED_AT) & (frame["way"] == "reconstruction")]
    ap = pd.DataFrame({
        **{stage: _by_class(pruned, stage) for stage in STAGES},
        "control": _by_class(controls, "finetuned"),
    })  # fmt: skip
    ap = ap.loc[(ap["finetuned"] - ap["control"]).sort_values().index]
    return [["class", *ap], *([name, *map(_number, values)] for name, *values in ap.itertuples())]


def _by_class(frame: pd.DataFrame, stage: str) -> pd.Series:
    """Each class's AP at a stage, the mean over the seeds."""
    by_seed = [
        {name: stages[stage] for name, stages in by_class.items()}
        for by_class in frame["ap_by_class"]
    ]
    return pd.DataFrame(by_seed).mean()


def standard(rows: Rows) -> pd.DataFrame:
    """The rows of the standard recipe, with their `way`: reconstructed where cut, no teacher."""
    frame = pd.DataFrame(rows)
    ways = [WAYS.get((row["strategy"], row["criterion"])) for row in rows]
    frame["way"] = pd.Categorical(ways, WAYS.values(), ordered=True)
    reconstructed = (frame["reconstruct_images"] > 0) | (frame["target_ratio"] == 0)
    tuned = frame["teacher"].isna() & (frame["epochs"] == EPOCHS)
    return frame[frame["way"].notna() & reconstructed & tuned]


def plot_map_against(rows: Rows, column: str, label: str, unit: float = 1) -> Figure:
    """mAP against a cost of the network: reconstructed and finetuned, by how channels are chosen.

    Args:
        column: the cost's key without '_before' or '_after'.
    """
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    frame = standard(rows)
    unpruned = frame[frame["target_ratio"] == 0]
    control, baseline = unpruned["map_finetuned"].mean(), unpruned["map_baseline"].mean()
    whole = unpruned[f"{column}_before"].iloc[0] * unit
    for way, group in frame[frame["target_ratio"] > 0].groupby("way", observed=True):
        ratios = group.groupby("target_ratio")
        cost = [whole, *(ratios[f"{column}_after"].first() * unit)]
        for stage, start, style in (
            ("reconstructed", baseline, "s--"),
            ("finetuned", control, "o-"),
        ):
            values = [start, *ratios[f"map_{stage}"].mean()]
            axes.plot(cost, values, style, color=COLOURS[way], ms=5, label=f"{way}: {stage}")
    axes.axhline(control, color="grey", lw=1, label="control")
    axes.set(xlabel=label, ylabel="mAP on test scenes")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    return figure


def write_page(folder: Path, made: dict[str, Table], rows: Rows, readme: Path) -> None:
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
        write_file(page, fill(text, made).encode())


def tables(rows: Rows, repairs: Rows, budgets: Rows) -> dict[str, Table]:
    """Every table of the two pages, by its mark."""
    return {
        "ratios": main_table(rows),
        "repairs": repair_table(repairs),
        "budgets": budget_table(budgets),
        "methods": method_table(rows),
        "classes": class_table(rows),
    }


def _describe(row: dict[str, Any]) -> str:
    words = [row["strategy"], row["criterion"]] if row["target_ratio"] else ["control"]
    words += ["reconstructed"] * bool(row["reconstruct_images"])
    words += [f"teacher's {row['teacher']}"] * bool(row["teacher"])
    words.append("one pass" if row["epochs"] == 1 else f"{row['epochs']} passes")
    return ", ".join(words)


def _number(value: float | None, form: str = ".3f") -> str:
    return "" if value is None or pd.isna(value) else format(value, form)


def _spread(values: pd.Series) -> str:
    """The mean, and the range if there are several."""
    if len(values) == 1:
        return _number(values.iloc[0])
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"
