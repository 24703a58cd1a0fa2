"""Explore plans by hand: change the ratio and the pattern, and the plan follows."""

import io
import os
from html import escape

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, Image, display

from pruning.dependencies import Dependencies
from pruning.pattern import PatternError
from pruning.pattern_report import explain_pattern
from pruning.plan import PlanError
from pruning.search import nearest_uniform_plan
from utils.plots import plot_plan

WIDE = {"width": "46em"}


def explore(dependencies: Dependencies, pruned_params: str, target_ratio: float) -> None:
    """Show a slider for target_ratio, a box for the pattern, and the plan that follows them.

    `make run-notebooks` sets TQDM_DISABLE, since nobody is there to move a slider. The plan for
    the given values is then shown instead, and the rendered pages add a slider of their own.
    """
    if "TQDM_DISABLE" in os.environ:
        text, picture = describe(dependencies, pruned_params, target_ratio)
        values = f'data-pattern="{escape(pruned_params)}" data-target="{target_ratio:g}"'
        display(HTML(f'<div id="explorer" {values}>{text}</div>'))  # for docs/_static/explorer.js
        if picture:
            display(Image(picture))
        return
    pattern = widgets.Text(pruned_params, description="pattern", layout=WIDE)
    target = widgets.FloatSlider(
        target_ratio, min=0.05, max=0.95, step=0.01, description="target_ratio", layout=WIDE
    )
    multiple = widgets.ToggleButtons(
        options=[1, 8, 16], description="multiple of", style={"button_width": "4em"}
    )
    text, picture = widgets.HTML(), widgets.Image(format="png")

    def follow(_change=None) -> None:
        text.value, png = describe(dependencies, pattern.value, target.value, multiple.value)
        picture.layout.display = "block" if png else "none"
        picture.value = png or b""

    for control in (pattern, target, multiple):
        control.observe(follow, "value")
    follow()
    controls = [pattern, target, multiple, text, picture]
    display(widgets.VBox(controls, layout={"align_items": "flex-start"}))


def describe(
    dependencies: Dependencies, pruned_params: str, target_ratio: float, channel_multiple: int = 1
) -> tuple[str, bytes | None]:
    """Describe a plan as HTML and as a PNG; if there is none, say why, without a PNG."""
    try:
        report = explain_pattern(dependencies, pruned_params)
        if not report.prunable or report.refused:
            return f"<pre>{escape(str(report))}</pre>", None
        plan = nearest_uniform_plan(dependencies, pruned_params, target_ratio)
        plan = plan.rounded(channel_multiple)
    except (PatternError, PlanError) as error:
        return f"<p>{escape(str(error))}</p>", None
    table = plan.table().loc[list(plan.ratios)].rename_axis(None)
    rows = {
        "channels before": table["channels before"],
        "channels after": table["channels after"],
        "FLOPs after (M)": (table["FLOPs after"] / 1e6).round(1),
        "parameters after": table["parameters after"],
    }
    head = f"<p>target_ratio {target_ratio:g}, {len(plan.ratios)} filters: {plan.summary()}</p>"
    figure, png = plot_plan(plan), io.BytesIO()
    figure.savefig(png, format="png", dpi=80)
    plt.close(figure)
    return head + pd.DataFrame(rows).to_html(border=0), png.getvalue()
