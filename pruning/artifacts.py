"""The files that a run leaves: the pruned network, how it came about, a control's history."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from paddle.static import Program, Scope

from pruning.cut import apply_plan, reshape_programs
from pruning.dependencies import analyse
from pruning.history import History
from pruning.plan import Plan
from pruning.search import search_uniform_plan
from ssd_model.files import write_json
from ssd_model.weights import WeightsError, load_weights, read_tensors, save_weights


@dataclass(frozen=True)
class PrunedRun:
    """How a saved pruned network came about."""

    target_ratio: float
    pruned_params: str
    history: History


def save_pruned(path: Path, program: Program, scope: Scope, run: PrunedRun, key: str) -> None:
    """Write a pruned network's weights and, in the same file, how it came about.

    Args:
        key: the workspace's key, which `find_pruned` compares.
    """
    metadata = {"run": json.dumps(asdict(run)), "key": key}
    save_weights(program, path, scope, metadata=metadata)


def find_pruned(path: Path, key: str) -> PrunedRun | None:
    """Read how a pruned network came about; None if the workspace of this key has none.

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
        return PrunedRun(**{**run, "history": History(**run["history"])})
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} was not written by this version ({error}): remove it and run notebook 3 again"
        ) from error


def prune_only(
    program: Program, scope: Scope, target_ratio: float, pruned_params: str
) -> tuple[PrunedRun, Program]:
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
    return PrunedRun(target_ratio, pruned_params, history), program


def load_pruned(path: Path, program: Program, scope: Scope, run: PrunedRun) -> Program:
    """Load a saved pruned network: its weights into the scope, its eval Program returned.

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


def save_history(path: Path, history: History, key: str) -> None:
    """Write a history with the key of its workspace."""
    write_json(path, {"key": key, "history": asdict(history)})


def find_history(path: Path, key: str) -> History | None:
    """Read a history; None if none was measured in the workspace of this key.

    Raises:
        ValueError: the file was not written by `save_history`.
    """
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        return History(**content["history"]) if content["key"] == key else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} holds no history ({error}): remove it and measure again"
        ) from error
