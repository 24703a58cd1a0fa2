"""Write the report of a run, every number that the workbook measured; compare several."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from pruning.artifacts import Run
from pruning.history import STAGES, History
from ssd_model.files import write_json
from utils.workspace import Workspace


def make_report(
    settings: dict[str, Any],
    run: Run,
    control: History | None = None,
    *,
    file_bytes: tuple[int, int] | None = None,
    latency_ms: tuple[float, float] | None = None,
    map_difference_range: tuple[float, float] | None = None,
    shapes_match: bool,
    outputs_max_abs_difference: float,
) -> dict[str, Any]:
    """Collect all numbers of a run; what was not measured is null.

    Args:
        settings: what was run; 'classes' are names without the background.
        control: the history of the unpruned network, fine-tuned for just as long.
        file_bytes, latency_ms: values before and after pruning.
        map_difference_range: of mAP finetuned - control, see `ssd_model.bootstrap`.
    """
    history = run.history
    # If layers are cut by different ratios, there is no common one.
    ratios = {ratio for pruning in history.ratios for ratio in pruning.values()}
    return {
        **settings,
        "target_ratio": run.target_ratio,
        "pruned_params": run.pruned_params,
        "channel_ratio": ratios.pop() if len(ratios) == 1 else None,
        "flops_before": history.flops_before,
        "flops_after": history.flops_after,
        "parameters_before": history.parameters_before,
        "parameters_after": history.parameters_after,
        "file_bytes_before": file_bytes[0] if file_bytes else None,
        "file_bytes_after": file_bytes[1] if file_bytes else None,
        **{f"map_{stage}": history.value("map", stage) for stage in STAGES},
        "map_control": control.value("map", "finetuned") if control else None,
        "map_difference_range": map_difference_range,
        "map_coco_finetuned": history.value("map_coco", "finetuned"),
        "map_coco_control": control.value("map_coco", "finetuned") if control else None,
        "ap_by_class": _ap_by_class(settings["classes"], history, control),
        "latency_ms_before": latency_ms[0] if latency_ms else None,
        "latency_ms_after": latency_ms[1] if latency_ms else None,
        "shapes_match": shapes_match,
        "outputs_max_abs_difference": outputs_max_abs_difference,
    }


def write_report(
    work: Workspace, run: Run, control: History | None, **measured: Any
) -> dict[str, Any]:
    """Write `work.report_file`, and return its content; see `make_report`.

    If the network was fine-tuned, a copy joins those of other cuts, see `compare_cuts`.
    """
    about = {
        "images_trained": len(work.trainval.records),
        "images_tested": len(work.test.records),
        "cut_by": run.cut_by,
    }
    report = make_report(work.settings | about, run, control, **measured)
    write_json(work.report_file, report)
    if report["map_finetuned"] is not None:
        cut = f"{run.target_ratio:g}-{run.cut_by.replace(', ', '-')}-{report['flops_after']}"
        write_json(work.reports / f"{work.key}-{cut}.json", report)
    return report


def compare_cuts(work: Workspace) -> pd.DataFrame:
    """Compare all cuts that runs have made in this folder, with the same data, seed and options.

    A row for each cut that was fine-tuned, the smallest first. Milliseconds were measured at
    different times; 'of unpruned' compares them with the unpruned network's of the same time.
    'mAP - control' has the range that chance in the test images leaves.
    """
    reports = [json.loads(path.read_bytes()) for path in work.reports.glob(f"{work.key}-*.json")]
    reports.sort(key=lambda report: -report["flops_after"])
    rows = [
        {
            "FLOPs (M)": report["flops_after"] / 1e6,
            "latency, ms": report["latency_ms_after"],
            "of unpruned": report["latency_ms_after"] / report["latency_ms_before"],
            "mAP": report["map_finetuned"],
            "mAP - control": _difference(report),
            "cut by": report["cut_by"],
        }
        for report in reports
    ]
    targets = [report["target_ratio"] for report in reports]
    return pd.DataFrame(rows, pd.Index(targets, name="target_ratio")).round(3)


def summary_table(report: dict[str, Any]) -> pd.DataFrame:
    """Compare the network before and after pruning; the mAP before is the control's."""
    rows = {
        "million multiply-adds": ("flops_before", "flops_after", 1e-6),
        "million parameters": ("parameters_before", "parameters_after", 1e-6),
        "file, MB": ("file_bytes_before", "file_bytes_after", 1e-6),
        "latency, ms": ("latency_ms_before", "latency_ms_after", 1),
        "mAP (before: the control's)": ("map_control", "map_finetuned", 1),
        "COCO mAP (the same)": ("map_coco_control", "map_coco_finetuned", 1),
    }
    table = pd.DataFrame(
        {
            name: pd.Series([report[before], report[after]], dtype=float) * unit
            for name, (before, after, unit) in rows.items()
        }
    ).T.set_axis(["before", "after"], axis=1)
    table["difference"] = table["after"] - table["before"]
    table["ratio"] = table["after"] / table["before"]
    return table.round(3)


def _difference(report: dict[str, Any]) -> str:
    if report["map_control"] is None:
        return ""
    difference = f"{report['map_finetuned'] - report['map_control']:+.3f}"
    bounds = report.get("map_difference_range")  # earlier reports have none
    return f"{difference} ({bounds[0]:+.3f} to {bounds[1]:+.3f})" if bounds else difference


def _ap_by_class(
    classes: Sequence[str], history: History, control: History | None
) -> dict[str, dict[str, float]]:
    """AP by class and stage, without the background, which comes first in each list."""
    stages = {stage: history.value("map_by_class", stage) for stage in STAGES}
    stages["control"] = control.value("map_by_class", "finetuned") if control else None
    return {
        name: {stage: values[i] for stage, values in stages.items() if values}
        for i, name in enumerate(classes, start=1)
    }
