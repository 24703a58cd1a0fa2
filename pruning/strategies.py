"""What a strategy of the config cuts, and when."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pruning.checkpoints import RunState
from pruning.config import ConfigError, PruneStrategy, SensitivePruneStrategy
from pruning.dependencies import Dependencies
from pruning.plan import Plan, uniform_plan
from pruning.search import search_uniform_ratio
from pruning.sensitivity import (
    check_reach,
    delta_ratios,
    measure_sensitivities,
    sensitive_plan,
)

# The original pruned a next step when the metric changed by less than this share.
SETTLED = 0.005


def first_plan(
    strategy: PruneStrategy, dependencies: Dependencies, config_file: Path
) -> Plan | None:
    """A strategy's plan for the whole network, as far as it is known before anything is measured.

    Raises:
        ConfigError: a criterion for what is no filter that can be cut.
        PatternError, PlanError: the strategy cannot be carried out on this network.
    """
    matched = dependencies.match(strategy.pruned_params)
    for name in strategy.criterions.keys() - {"*"} - dependencies.groups.keys():
        raise ConfigError(
            f"{config_file}: criterions names {name!r}, which is no filter that can be cut"
        )
    if not isinstance(strategy, SensitivePruneStrategy):
        return _uniform(strategy, dependencies)
    largest = {
        name: delta_ratios(strategy.delta_rate, dependencies.groups[name].channels)[-1]
        for name in matched
    }
    check_reach(dependencies, largest, strategy.step_ratio)
    return None


def is_due(strategy: PruneStrategy, state: RunState, epochs: int) -> bool:
    """Whether a strategy has a step to take before the next epoch.

    Args:
        epochs: of the whole run.
    """
    done = state.steps.get(strategy.name, 0)
    if done == 0:
        return state.epoch == strategy.start_epoch
    steps_left = strategy.num_steps - done
    if not steps_left:
        return False
    return epochs - state.epoch <= steps_left or _settled(state.history, strategy.metric_name)


def plan_step(
    strategy: PruneStrategy,
    dependencies: Dependencies,
    scope,
    metric: Callable[[], float],
    epoch: int,
) -> Plan:
    """One step of a strategy; a sensitive one measures what each layer costs, or reads it.

    Args:
        dependencies, scope: the network as it is.
        metric: evaluates that network.
        epoch: epochs trained.

    Raises:
        SensitivityError: `sensitivities_file` holds those of another network.
    """
    if not isinstance(strategy, SensitivePruneStrategy):
        return _uniform(strategy, dependencies)
    later = f".epoch{epoch}" if epoch != strategy.start_epoch else ""
    sensitivities = measure_sensitivities(
        dependencies,
        scope,
        dependencies.match(strategy.pruned_params),
        strategy.delta_rate,
        metric,
        Path(strategy.sensitivities_file + later),
        {"metric": strategy.metric_name, "eval_rate": strategy.eval_rate},
        strategy.criterions,
    )
    plan = sensitive_plan(dependencies, sensitivities, strategy.step_ratio)
    return plan.rounded(strategy.channel_multiple)


def _uniform(strategy: PruneStrategy, dependencies: Dependencies) -> Plan:
    pattern = strategy.pruned_params
    ratio = search_uniform_ratio(dependencies, pattern, strategy.target_ratio)
    return uniform_plan(dependencies, pattern, ratio).rounded(strategy.channel_multiple)


def _settled(rows: list[dict[str, Any]], label: str) -> bool:
    """Whether a metric hardly changed between the last two evaluations since the last cut."""
    pruned = max(i for i, row in enumerate(rows) if row["stage"] == "pruned")
    values = [row[label] for row in rows[pruned + 1 :]][-2:]
    return len(values) == 2 and abs(values[1] - values[0]) < SETTLED * abs(values[0])
