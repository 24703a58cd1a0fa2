"""Where a run begins: at its start, or where its last checkpoint has left it."""

from dataclasses import asdict
from typing import Any

from paddle.optimizer.lr import LRScheduler

from pruning import checkpoints
from pruning.checkpoints import RunState
from pruning.config import CompressConfig
from pruning.pruned_network import PrunedNetwork
from ssd_model import workers
from ssd_model.scope import kept_variables, write_tensor


class Resume:
    """Starts runs on a network, each anew or from its last checkpoint, and saves where they are.

    Args:
        network: not pruned yet.
        scheduler: of the learning rate, at its first step; None where the rate is fixed.
        metric: the label by which the best checkpoint is chosen.
    """

    def __init__(self, network: PrunedNetwork, scheduler: LRScheduler | None, metric: str):
        self._metric = metric
        self._network = network
        self._scheduler = scheduler
        self._first_step = scheduler.state_dict() if scheduler else None
        self._left: str | None = None  # digest of the weights that a stopped run has left

    def start(self, config: CompressConfig) -> RunState:
        """Put network and scheduler where this run is: at its start, or at its last checkpoint.

        Of several workers, the first does that, and the others take over what it has.

        Raises:
            CheckpointError: the folder holds an unfinished run of another kind, or has no room.
            WeightsError, PlanError: `init_model` is damaged or does not fit.
            ValueError: the scope's tensors do not fit the Programs, or are what a run that was
                stopped has left.
        """
        state = RunState(**workers.once(lambda: asdict(self._start(config))))
        if self._scheduler:
            self._scheduler.set_state_dict(state.lr_scheduler)
        self._network.spread(state.ratios)
        return state

    def _start(self, config: CompressConfig) -> RunState:
        network = self._network
        if network.digest() == self._left:
            raise ValueError(
                "the scope holds what a run that was stopped has left: run the startup program "
                "(and load the weights) again, and it resumes from its last checkpoint"
            )
        network.restart_from(config.init_model)
        if config.init_model:
            print(network.load(config.init_model))
        fingerprint = self._fingerprint(config)
        folder = config.checkpoint_path
        found = checkpoints.find(folder, fingerprint) if folder else None
        if found:
            return self._resume(config, *found)
        self._check_scope()
        if folder:
            checkpoints.clear(folder)
            checkpoints.check_room(folder, self._network.train, config.keep)
        # What was cut before is the first of the cuts.
        cut_before = [dict(network.plan.ratios)] if network.plan.ratios else []
        return RunState(
            fingerprint,
            ratios=cut_before,
            lr_scheduler=self._first_step,
            workers=workers.size(),
        )

    def save(self, config: CompressConfig, state: RunState) -> None:
        """Write a checkpoint, if the config wants them; of several workers the first does.

        Raises:
            CheckpointError: it cannot be written; the earlier ones are still there.
        """
        if config.checkpoint_path is None or not workers.is_first():
            return
        state.lr_scheduler = self._scheduler.state_dict() if self._scheduler else None
        network = self._network
        programs = [network.train, network.evaluation]
        kept = config.keep, self._metric, config.best_from
        checkpoints.save(config.checkpoint_path, state, programs, network.scope, *kept)

    def stopped(self, state: RunState) -> None:
        """Remember what a run that fails or is interrupted leaves: it is no start for another."""
        left = self._network.digest()
        self._left = left if left != state.fingerprint["start weights"] else None

    def _resume(self, config, state: RunState, arrays: dict, path) -> RunState:
        if not state.finished:
            checkpoints.check_room(config.checkpoint_path, self._network.train, config.keep)
        self._network.restart()
        for ratios in state.ratios:
            self._network.reshape(ratios)
        for name, array in arrays.items():
            write_tensor(self._network.scope, name, array)
        ended = "this run is complete; its result is in" if state.finished else "resuming from"
        print(f"{ended} {path} ({state.epoch} epochs trained)")
        if state.workers != workers.size() and not state.finished:
            print(
                f"it was trained by {state.workers} worker(s), and goes on with {workers.size()}: "
                "the numbers will differ a little from those of a run that kept their number"
            )
            state.workers = workers.size()
        return state

    def _fingerprint(self, config: CompressConfig) -> dict[str, Any]:
        return {
            "epoch": config.epoch,
            "eval_epoch": config.eval_epoch,
            "strategies": [strategy.model_dump() for strategy in config.strategies],
            "start weights": self._network.digest(),
        }

    def _check_scope(self) -> None:
        scope = self._network.scope
        for var in kept_variables(scope, [self._network.train]):
            shape = tuple(scope.find_var(var.name).get_tensor().shape())
            if len(shape) == len(var.shape) and shape != tuple(var.shape):
                raise ValueError(
                    f"{var.name} has shape {shape} in the scope and {tuple(var.shape)} in the "
                    "train Program, as after an earlier run: run the startup program (and load "
                    "the weights) again"
                )
