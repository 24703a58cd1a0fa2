"""Measure how much mAP is lost when one layer alone is cut, and find the plan that loses least."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from paddle.static import Scope

from pruning.cut import L1_NORM, Criterions, silenced
from pruning.dependencies import Dependencies
from pruning.plan import Plan, PlanError
from pruning.search import bisect, check_target, out_of_reach
from ssd_model.files import write_file
from ssd_model.progress import progress
from ssd_model.scope import weights_digest

# A small cost for cutting an entire layer, so that layers whose cut costs nothing that the sample
# can show are all cut alike.
SLOPE = 1e-3
# How close to target_ratio a plan should come, in share of FLOPs.
TOLERANCE = 0.001
# Evaluations of one network on one machine differ by this at most; on two data sets, by more.
SAME = 1e-3


class SensitivityError(ValueError):
    """Sensitivities cannot be measured, or their file cannot be used."""


@dataclass
class Sensitivities:
    """What a metric loses when one layer alone is cut."""

    about: dict[str, Any]
    """What was measured: weights, criterions, metric, eval_rate. To resume, all must agree."""
    baseline: float
    """The metric with nothing cut."""
    lost: dict[str, dict[float, float]] = field(default_factory=dict)
    """The loss of the metric, by filter and share of its channels cut; negative if it rose."""

    def frame(self) -> pd.DataFrame:
        """The losses as a table, with one row for each filter and one column for each ratio."""
        return pd.DataFrame(self.lost).T.sort_index(axis=1)

    def ratio(self, name: str, loss: float) -> float:
        """The largest share of a filter's channels that costs no more than `loss`.

        Interpolates linearly between measurements, and never goes beyond the largest ratio. If
        cutting more seems to cost less, which is chance in the sample, the higher loss counts.
        """
        ratios = np.array([0.0, *sorted(self.lost[name])])
        measured = [0.0, *(self.lost[name][ratio] for ratio in ratios[1:])]
        return float(np.interp(loss, np.maximum.accumulate(measured) + SLOPE * ratios, ratios))

    def save(self, path: Path) -> None:
        """Write a JSON file, completely or not at all."""
        write_file(path, (json.dumps(asdict(self), indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> "Sensitivities":
        """Read what `save` wrote.

        Raises:
            SensitivityError: the file does not hold sensitivities.
            FileNotFoundError: there is no such file.
        """
        try:
            content = json.loads(Path(path).read_bytes())
            lost = {
                name: {float(ratio): float(loss) for ratio, loss in losses.items()}
                for name, losses in content["lost"].items()
            }
            return cls(dict(content["about"]), float(content["baseline"]), lost)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SensitivityError(
                f"{path} is not a JSON file of sensitivities ({error}); the original's pickles are "
                "not read. Remove it or name another, and they will be measured again"
            ) from None


def measure_sensitivities(
    dependencies: Dependencies,
    scope: Scope,
    names: Sequence[str],
    delta_rate: float,
    metric: Callable[[], float],
    path: Path,
    about: dict[str, Any],
    criterions: Criterions = L1_NORM,
) -> Sensitivities:
    """Cut each layer alone by each ratio and measure what a metric loses.

    Nothing is really cut: the channels are set to zero for a moment (`pruning.cut.silenced`). Each
    number is saved as soon as it is measured; those already in the file are not measured again.

    Args:
        names: filters, see `Dependencies.match`.
        delta_rate: see `delta_ratios`.
        metric: evaluates the network in the scope as it is; the higher the better.
        path: the JSON file.
        about: names the metric and the sample; weights and criterions are added.

    Raises:
        SensitivityError: the file belongs to another network or sample, or does not hold
            sensitivities; or the metric is not a finite number.
    """
    path = Path(path)
    weights = weights_digest(scope, dependencies.shapes)
    named = {key: value for key, value in criterions.items() if isinstance(value, str)}
    about = {**about, "weights": weights, "criterions": named}
    ratios = {name: delta_ratios(delta_rate, dependencies.groups[name].blocks) for name in names}
    wanted = [(name, ratio) for name in names for ratio in ratios[name]]
    found = Sensitivities.load(path) if path.exists() else None
    if found:
        _check_about(path, found.about, about)
    todo = [(n, r) for n, r in wanted if not found or r not in found.lost.get(n, {})]
    if todo:
        baseline = metric()
        if not math.isfinite(baseline):
            raise SensitivityError(f"the metric is {baseline} with nothing cut: nothing to lose")
        if found and abs(found.baseline - baseline) > SAME:
            raise SensitivityError(
                f"{path} was measured on other data: with nothing cut the metric was "
                f"{found.baseline:.4f}, now it is {baseline:.4f}. Remove it or name another file"
            )
        found = found or Sensitivities(about, baseline)
    for name, ratio in progress(todo, "sensitivity"):
        with silenced(Plan(dependencies, {name: ratio}), scope, criterions):
            found.lost.setdefault(name, {})[ratio] = found.baseline - metric()
        found.save(path)
    lost = {name: {ratio: found.lost[name][ratio] for ratio in ratios[name]} for name in names}
    return Sensitivities(about, found.baseline, lost)


def sensitive_plan(
    dependencies: Dependencies, sensitivities: Sensitivities, target_ratio: float
) -> Plan:
    """Cut a share of the FLOPs where it costs least: each layer until all cost the same.

    The original fitted a cubic to each layer's losses and searched for the loss that saves enough.
    Here the search uses the measurements themselves, see `Sensitivities.ratio`. That keeps more of
    the metric: tests/utils/test_measured.py.

    Args:
        sensitivities: those of the layers to cut.
        target_ratio: share of FLOPs to cut, in (0, 1); met within 0.001, or as closely as the
            channel counts allow.

    Raises:
        PlanError: target_ratio is out of range or beyond what the measured ratios save.
    """

    def plan_at(loss: float) -> Plan:
        ratios = {name: sensitivities.ratio(name, loss) for name in sensitivities.lost}
        return Plan(dependencies, ratios)

    largest = {name: max(lost) for name, lost in sensitivities.lost.items()}
    check_reach(dependencies, largest, target_ratio)
    most = max(max(lost.values()) for lost in sensitivities.lost.values())
    loss, _ = bisect(
        lambda loss: plan_at(loss).saved, target_ratio, TOLERANCE, high=max(most, 0) + 2 * SLOPE
    )
    return plan_at(loss)


def check_reach(dependencies: Dependencies, largest: dict[str, float], target_ratio: float) -> None:
    """Refuse a target that cutting every layer by its largest ratio would not reach.

    Raises:
        PlanError: the target is out of reach, or target_ratio is out of range.
    """
    check_target(target_ratio)
    most = Plan(dependencies, largest).saved
    if most < target_ratio - TOLERANCE:
        ratio = f"{max(largest.values()):g} at most, more with a smaller delta_rate"
        raise out_of_reach(
            target_ratio,
            most,
            f"{len(largest)} layers, each cut by the largest ratio of its sensitivities ({ratio})",
        )


def delta_ratios(delta_rate: float, channels: int) -> list[float]:
    """List the ratios to measure: the multiples of delta_rate below 1, rounded to 0.01.

    Args:
        channels: the layer's channels; ratios that would leave it none are skipped.

    Raises:
        PlanError: delta_rate is not in [0.01, 1), or leaves the layer no ratio.
    """
    if not 0.01 <= delta_rate < 1:
        raise PlanError(f"delta_rate is {delta_rate:g}: it must be 0.01 or more and below 1")
    steps = (round(i * delta_rate, 2) for i in range(1, int(1 / delta_rate) + 1))
    ratios = [ratio for ratio in steps if ratio < 1 and round(ratio * channels) < channels]
    if not ratios:
        raise PlanError(
            f"delta_rate is {delta_rate:g}: rounded to 0.01, no multiple of it leaves any of "
            f"{channels} channels"
        )
    return ratios


def _check_about(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    different = [
        f"{key} {found.get(key)!r} there, {wanted.get(key)!r} here"
        for key in wanted
        if found.get(key) != wanted[key]
    ]
    if different:
        what = "network" if found.get("weights") != wanted["weights"] else "measurement"
        raise SensitivityError(
            f"{path} holds the sensitivities of another {what}: {'; '.join(different)}. Remove it "
            "or name another file, and they will be measured again"
        )
