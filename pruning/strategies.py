"""The strategies of a config: what each prunes, and when."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from pruning.budget import budget_plan, check_reachable, flops_cost
from pruning.cut import L1_NORM
from pruning.dependencies import Dependencies
from pruning.fields import Count, Number, Positive, Record, Share, Text, none_if_named, number_must
from pruning.layer_latency import latency_cost
from pruning.layer_samples import ScopedProgram
from pruning.plan import Plan
from pruning.ranking import Ranking
from pruning.search import search_uniform_plan
from pruning.sensitivity import (
    check_reach,
    delta_ratios,
    measure_sensitivities,
    sensitive_plan,
)

# The original took the next step when the metric changed by less than this share.
SETTLED = 0.005
SENSITIVITIES_FILE = "./sensitivities.json"

Metric = Callable[[], float]


@dataclass(frozen=True)
class Step:
    """The network before a step of a strategy.

    Args:
        dependencies, network: the network as it is.
        ranking: decides which channels go first.
        metric: evaluates that network.
        epoch: epochs trained.
    """

    dependencies: Dependencies
    network: ScopedProgram
    ranking: Ranking
    metric: Metric
    epoch: int


class PruneStrategy(Record, ABC):
    """The keys that all strategies have."""

    name: str
    start_epoch: Count = 0
    """Epochs of training before the cut."""
    end_epoch: Count = 0
    """As in the original, training continues at least until this epoch."""
    target_ratio: Share
    """Share of FLOPs to cut, in (0, 1)."""
    pruned_params: Text
    """Regular expression for filter names."""
    metric_name: Annotated[Text | None, BeforeValidator(none_if_named)] = None
    criterions: Mapping[str, str] = Field(default_factory=lambda: dict(L1_NORM))
    """How to rank filters, see `pruning.criteria`: by filter name, '*' for all others."""
    channel_multiple: Positive = 1
    """Cut layers keep a multiple of this many channels. The original had no such key."""
    reconstruct_images: Count = 0
    """After the cut, refit what is left on this many training images, see `pruning.reconstruct`.
    Measured criteria use the same images. The original had no such key."""

    @abstractmethod
    def first_plan(self, dependencies: Dependencies) -> Plan | None:
        """The plan for the unpruned network; None if the strategy has to measure first.

        Raises:
            PatternError, PlanError: the strategy cannot be carried out on this network.
        """

    @abstractmethod
    def plan_step(self, step: Step) -> Plan:
        """The plan of one step.

        Raises:
            PatternError, PlanError: the strategy cannot be carried out on this network.
            SensitivityError: `sensitivities_file` belongs to another network.
        """

    def is_due(self, steps_done: int, epoch: int, epochs: int, rows: list[dict[str, Any]]) -> bool:
        """Whether a step is due before the next epoch.

        Args:
            epoch: epochs trained.
            epochs: epochs of the entire run.
            rows: the history's rows, see `pruning.history`.
        """
        if steps_done == 0:
            return epoch == self.start_epoch
        steps_left = self.num_steps - steps_done
        if not steps_left:
            return False
        return epochs - epoch <= steps_left or _settled(rows, self.metric_name)


class UniformPruneStrategy(PruneStrategy):
    """Cut the same share of channels from every matched filter, once, before `start_epoch`."""

    num_steps: ClassVar[int] = 1

    def first_plan(self, dependencies: Dependencies) -> Plan:
        plan = search_uniform_plan(dependencies, self.pruned_params, self.target_ratio)
        return plan.rounded(self.channel_multiple)

    def plan_step(self, step: Step) -> Plan:
        return self.first_plan(step.dependencies)


def _none_if_one(rate: Any) -> Any:
    return None if rate == 1 and not isinstance(rate, bool) else rate


def _file_if_none(file: Any) -> Any:
    return SENSITIVITIES_FILE if file is None else file


class SensitivePruneStrategy(PruneStrategy):
    """Cut most where the metric suffers least, see `pruning.sensitivity`, in one step or several.

    The first step comes before `start_epoch`. A later one comes when two evaluations since the
    last step differ by less than 0.5 %, as in the original. Unlike there, it also comes when only
    one epoch is left for each step, so that the target is always reached.
    """

    metric_name: Text
    delta_rate: Annotated[
        Number,
        Field(ge=0.01),
        number_must("be 0.01 or more"),
        Field(lt=1),
        number_must("be below 1"),
    ] = 0.2
    """Sensitivities are measured at the multiples of this ratio below 1."""
    num_steps: Positive = 1
    """The number of steps. Each cuts the same share of the FLOPs that the one before it left."""
    eval_rate: Annotated[Share | None, BeforeValidator(_none_if_one)] = None
    """Share of the eval batches to measure on; None means all."""
    sensitivities_file: Annotated[Text, BeforeValidator(_file_if_none)] = SENSITIVITIES_FILE
    """Where sensitivities are kept for reuse; steps after the first add `.epoch` and a number."""

    @property
    def step_ratio(self) -> float:
        """The share of the FLOPs that one step cuts."""
        return 1 - (1 - self.target_ratio) ** (1 / self.num_steps)

    def first_plan(self, dependencies: Dependencies) -> None:
        largest = {
            name: delta_ratios(self.delta_rate, dependencies.groups[name].blocks)[-1]
            for name in dependencies.match(self.pruned_params)
        }
        check_reach(dependencies, largest, self.step_ratio)

    def plan_step(self, step: Step) -> Plan:
        later = f".epoch{step.epoch}" if step.epoch != self.start_epoch else ""
        sensitivities = measure_sensitivities(
            step.dependencies,
            step.network.scope,
            step.dependencies.match(self.pruned_params),
            self.delta_rate,
            step.metric,
            Path(self.sensitivities_file + later),
            {"metric": self.metric_name, "eval_rate": self.eval_rate},
            step.ranking.criterions,
        )
        plan = sensitive_plan(step.dependencies, sensitivities, self.step_ratio)
        return plan.rounded(self.channel_multiple)


class BudgetPruneStrategy(PruneStrategy):
    """Cut most where the layers behind can best make up for it, see `pruning.budget`, once.

    It needs the criterion `reconstruction`. The original had no such strategy.
    """

    num_steps: ClassVar[int] = 1
    budget: Literal["flops", "milliseconds"] = "flops"
    """What `target_ratio` is a share of: multiply-adds, or the layers' time on this machine."""

    def first_plan(self, dependencies: Dependencies) -> None:
        names, multiple = dependencies.match(self.pruned_params), self.channel_multiple
        if self.budget == "flops":
            cost = flops_cost(dependencies)
            check_reachable(dependencies, names, self.target_ratio, cost, multiple)

    def plan_step(self, step: Step) -> Plan:
        if self.budget == "flops":
            cost = flops_cost(step.dependencies)
        else:
            cost = latency_cost(step.network, step.dependencies, self.channel_multiple)
        errors, multiple = step.ranking.errors, self.channel_multiple
        return budget_plan(step.dependencies, errors, self.target_ratio, cost, multiple)


def _settled(rows: list[dict[str, Any]], label: str) -> bool:
    """Whether a metric hardly changed between the last two evaluations since the last cut."""
    pruned = max(i for i, row in enumerate(rows) if row["stage"] == "pruned")
    values = [row[label] for row in rows[pruned + 1 :]][-2:]
    return len(values) == 2 and abs(values[1] - values[0]) < SETTLED * abs(values[0])
