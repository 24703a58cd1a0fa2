"""Code that the notebooks share. Importing it first sets Paddle up: see `ssd_model.runtime`."""

from ssd_model import runtime

runtime.prepare()

from ssd_model.bootstrap import map_difference_range
from utils.baseline import train_baseline, warn_if_weak
from utils.diagrams import plot_group, plot_network
from utils.explorer import explore
from utils.missing_names import explain_missing_names
from utils.paths import BASELINE, relative
from utils.plots import (
    plot_ap_by_class,
    plot_channels,
    plot_flops,
    plot_history,
    plot_images,
    plot_latency,
    plot_norms,
    plot_plan,
    plot_ranking,
    plot_sensitivities,
    plot_truth,
)
from utils.report import compare_cuts, summary_table, write_report
from utils.training import fine_tune, start_scope
from utils.workspace import Workspace

explain_missing_names()
