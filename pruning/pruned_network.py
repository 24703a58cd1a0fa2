"""A network that is pruned step by step: its Programs, their scope, and the last plan."""

from collections.abc import Sequence
from pathlib import Path

from paddle.static import Program, Scope

from pruning.cut import Criterions, apply_plan, reshape_programs
from pruning.dependencies import Dependencies, analyse
from pruning.init_model import load_init_model, plan_of_weights
from pruning.plan import Plan
from ssd_model import workers
from ssd_model.data_parallel import broadcast
from ssd_model.scope import weights_digest
from ssd_model.weights import LoadReport


class PrunedNetwork:
    """A train and an eval Program that share a scope, in their current state of pruning.

    Args:
        train, evaluation: the Programs before any pruning; they are copied, not changed.
        scope: holds their parameters.
    """

    def __init__(self, train: Program, evaluation: Program, scope: Scope):
        self.given = train, evaluation
        self.scope = scope
        self.unpruned = Plan(analyse(evaluation, train), {})
        self.restart()

    def restart(self) -> None:
        """Go back to the Programs as they were given; the scope stays as it is."""
        self.train, self.evaluation = self.given
        self.plan = self.unpruned
        """What the last pruning left."""

    @property
    def dependencies(self) -> Dependencies:
        """The dependencies of the network as it is now."""
        is_pruned = self.plan is not self.unpruned
        return analyse(self.evaluation, self.train) if is_pruned else self.unpruned.dependencies

    def prune(self, plan: Plan, criterions: Criterions) -> None:
        """Carry out a plan for the network as it is now, see `apply_plan`."""
        programs = [self.train, self.evaluation]
        self.train, self.evaluation = apply_plan(plan, programs, self.scope, criterions)
        self.plan = plan

    def reshape(self, ratios: dict[str, float]) -> None:
        """Prune only the Programs, for a scope that is filled afterwards."""
        plan = Plan(self.dependencies, ratios)
        self.train, self.evaluation = reshape_programs(plan, [self.train, self.evaluation])
        self.plan = plan

    def spread(self, ratios: Sequence[dict[str, float]]) -> None:
        """Give all workers the network that worker 0 has.

        Args:
            ratios: by which it was cut, one pruning after the other.
        """
        if workers.size() == 1:
            return
        if not workers.is_first():
            self.restart()
            for cut in ratios:
                self.reshape(cut)
        broadcast(self.scope, self.train, self.evaluation)

    def restart_from(self, init_model: Path | None) -> None:
        """Go back to the given Programs; if there are weights to start from, take their shapes.

        Raises:
            WeightsError, PlanError: see `plan_of_weights`.
        """
        self.restart()
        if init_model:
            plan = plan_of_weights(init_model, self.unpruned.dependencies)
            if plan.ratios:
                self.reshape(plan.ratios)

    def load(self, init_model: Path) -> LoadReport:
        """Fill the scope with the weights that set the shapes, see `load_init_model`."""
        return load_init_model(init_model, [self.train, self.evaluation], self.scope)

    def digest(self) -> str:
        """A short hash of the parameters' values."""
        return weights_digest(self.scope, self.unpruned.shapes)
