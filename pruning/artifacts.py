"""The files that a run leaves: its networks, and how each came about."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from paddle.static import Program, Scope

from pruning.cut import apply_plan, reshape_programs
from pruning.dependencies import analyse
from pruning.history import History
from pruning.plan import Plan
from pruning.search import search_uniform_plan
from ssd_model.weights import WeightsError, load_weights, read_tensors, save_weights


@dataclass(frozen=True)
class Run:
    """How a saved network came about."""

    history: History
    target_ratio: float | None = None
    """The share of the FLOPs to cut; None for a control, which is not pruned."""
    pruned_params: str = ""
    cut_by: str = ""
    """The strategy and the criterion."""


def save_network(path: Path, program: Program, scope: Scope, run: Run, key: str) -> None:
    """Write a network's weights and, in the same file, how it came about.

    Args:
        key: the workspace's key, which `find_run` compares.
    """
    metadata = {"run": json.dumps(asdict(run)), "key": key}
    save_weights(program, path, scope, metadata=metadata)


def find_run(path: Path, key: str) -> Run | None:
    """Read how a network came about; None if the workspace of this key has none.

    Raises:
        WeightsError: the file is damaged.
    """
    if not path.exists():
        return None
    _, metadata = read_tensors(path)
    if metadata.get("key") != key:
        return None
    try:
        run = json.loads(metadata["run"])
        return Run(**{**run, "history": History(**run["history"])})
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} was not written by this version ({error}): remove it and run notebook 3 again"
        ) from error


def prune_only(
    program: Program, scope: Scope, target_ratio: float, pruned_params: str
) -> tuple[Run, Program]:
    """Prune the network of a scope without measuring or fine-tuning it.

    Returns:
        How the network came about (its history has no rows), and the pruned eval Program.

    Raises:
        PatternError, PlanError: see `search_uniform_plan`.
    """
    dependencies = analyse(program)
    plan = search_uniform_plan(dependencies, pruned_params, target_ratio)
    (program,) = apply_plan(plan, [program], scope)
    history = History(
        rows=[],
        ratios=[dict(plan.ratios)],
        flops_before=plan.unpruned.flops,
        flops_after=plan.flops,
        parameters_before=plan.unpruned.parameters,
        parameters_after=plan.parameters,
    )
    return Run(history, target_ratio, pruned_params, "UniformPruneStrategy, l1_norm"), program


def load_network(path: Path, program: Program, scope: Scope, run: Run) -> Program:
    """Load a saved network: its weights into the scope, its eval Program returned.

    Args:
        program: the unpruned eval Program.
        scope: initialised by that Program's startup program.

    Raises:
        WeightsError: the file is damaged, or does not belong to this run.
    """
    for ratios in run.history.ratios:
        (program,) = reshape_programs(Plan(analyse(program), ratios), [program])
    load_weights(program, path, scope, strict=True)
    return program
