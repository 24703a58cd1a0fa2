"""`Compressor` of PaddleSlim 1.x: train, prune when the config says so, evaluate, remember."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle.static import Program
from paddleslim.core import GraphWrapper

from pruning import checkpoints
from pruning.checkpoints import RunState
from pruning.config import CompressConfig, ConfigError, PruneStrategy, load_config
from pruning.cut import apply_plan, cut_positions, reshape_programs
from pruning.dependencies import Dependencies, analyse
from pruning.history import History
from pruning.lock import lock
from pruning.plan import Plan
from pruning.reconstruct import ScopedProgram, first_input, reconstruct
from pruning.strategies import first_plan, is_due, plan_step
from ssd_model import kernels
from ssd_model.data.readers import FeedList, Reader, feeds, sample, set_epoch
from ssd_model.evaluation import FetchList, evaluate
from ssd_model.progress import progress
from ssd_model.scope import child_scope, empty_scope, read_tensor, weights_digest, write_tensor
from ssd_model.weights import load_weights


class TrainingError(RuntimeError):
    """Training that cannot go on."""


class Compressor:
    """Compress a network by a config, as `fluid.contrib.slim.Compressor`.

    Unlike that one it reports metrics over the whole eval set, raises errors instead of logging
    them and going on, and cuts copies of the given Programs (in those it only chooses kernels):
    the pruned ones are `train_graph.program` and `eval_graph.program`.

    Args:
        place: the device.
        scope: holds the parameters, initialised.
        train_program: with the optimizer in it, or without and `train_optimizer` given.
        train_reader: batches to train on, see `ssd_model.data.readers.feeds`.
        train_feed_list: (label, Variable name) pairs, for a reader without its own feed list.
        train_fetch_list: (label, Variable name) pairs; the first is the loss.
        eval_program, eval_reader, eval_feed_list: the same for evaluation.
        eval_fetch_list: (label, Variable name) pairs of metrics, under other labels.
        train_optimizer: minimises the loss. The learning-rate scheduler of whichever optimizer
            there is steps after every batch.

    Raises:
        ValueError: something is missing, a fetch list names what is not in its Program, or two
            fetches have one label.
    """

    def __init__(
        self,
        place,
        scope,
        train_program: Program,
        train_reader: Reader | None = None,
        train_feed_list: FeedList | None = None,
        train_fetch_list: FetchList | None = None,
        eval_program: Program | None = None,
        eval_reader: Reader | None = None,
        eval_feed_list: FeedList | None = None,
        eval_fetch_list: FetchList | None = None,
        train_optimizer: paddle.optimizer.Optimizer | None = None,
    ):
        if eval_program is None or eval_reader is None or not eval_fetch_list:
            raise ValueError("Compressor needs eval_program, eval_reader and eval_fetch_list")
        train_fetch_list = train_fetch_list or []
        if train_optimizer is not None and not train_fetch_list:
            raise ValueError("train_optimizer minimises the first of train_fetch_list: name a loss")
        _check_labels([*train_fetch_list, *eval_fetch_list])
        _check_fetches(train_program, train_fetch_list)
        _check_fetches(eval_program, eval_fetch_list)
        self._executor = paddle.static.Executor(place)
        self._scope = scope
        self._train_reader, self._train_feed_list = train_reader, train_feed_list
        self._eval_reader, self._eval_feed_list = eval_reader, eval_feed_list
        self._train_fetch_list, self._eval_fetch_list = train_fetch_list, eval_fetch_list
        if train_optimizer is not None:
            train_program = self._with_optimizer(train_program, train_optimizer)
        kernels.use_onednn(train_program)
        kernels.use_onednn(eval_program, everywhere=True)  # for the repair; evaluation fuses more
        self._given = train_program, eval_program
        self._scheduler = getattr(train_program, "lr_scheduler", None)
        self._first_lr = self._scheduler.state_dict() if self._scheduler else None
        self._whole = Plan(analyse(eval_program), {})
        self._after = self._whole  # the last cut
        self._left: str | None = None  # digest of the weights that a run left when it was stopped
        self._config: CompressConfig | None = None
        self.plan: Plan | None = None
        """What the first strategy will leave, or has left; None without strategies, and until
        its sensitivities are measured."""
        self._train, self._eval = self._given

    def config(self, config_file: Path) -> None:
        """Read a config and check it against the network. Nothing is changed yet.

        Raises:
            ConfigError: see `load_config`; also an unknown `metric_name`, or training or
                repair wanted without a reader.
            PatternError, PlanError: a strategy cannot be carried out on this network.
        """
        config = load_config(config_file)
        labels = [label for label, _ in self._eval_fetch_list]
        for strategy in config.strategies:
            if strategy.metric_name not in (None, *labels):
                raise ConfigError(
                    f"{config_file}: {strategy.name}.metric_name is {strategy.metric_name!r}, but "
                    f"eval_fetch_list has {labels}"
                )
            if strategy.reconstruct_images and self._train_reader is None:
                raise ConfigError(
                    f"{config_file}: {strategy.name}.reconstruct_images is "
                    f"{strategy.reconstruct_images}, but there is no train_reader to take them from"
                )
        if config.epoch and (self._train_reader is None or not self._train_fetch_list):
            raise ConfigError(
                f"{config_file}: compressor.epoch is {config.epoch}, but there is no train_reader "
                "or train_fetch_list"
            )
        whole = self._whole.dependencies
        plans = [first_plan(strategy, whole, config_file) for strategy in config.strategies]
        self.plan = plans[0] if plans else None
        self._config = config

    def run(self) -> History:
        """Carry the config out; a run that was stopped goes on from its last checkpoint.

        A checkpoint is this run's if the config and the weights at the start are the same. The
        readers can't be compared: give other data another `checkpoint_path`.

        Raises:
            LockError: another run works in `checkpoint_path`, or it cannot be written.
            CheckpointError: it holds an unfinished run of another kind, or has no room left. The
                checkpoints of the epochs before are kept.
            SensitivityError: `sensitivities_file` holds those of another network.
            TrainingError: the loss or a parameter is no longer a number.
            PlanError: a later step of a strategy cannot reach its target.
            WeightsError: `init_model` is damaged or does not fit.
            ValueError: the scope's tensors do not fit the Programs, or are what a run that was
                stopped has left.
        """
        if self._config is None:
            raise ValueError("call config(path) before run()")
        folder = self._config.checkpoint_path
        with lock(folder) if folder else nullcontext():
            state = self._start()
            try:
                return self._run(state)
            except BaseException:
                left = self._digest()
                self._left = left if left != state.fingerprint["start weights"] else None
                raise

    def _run(self, state: RunState) -> History:
        started = time.monotonic()
        before = state.history[-1]["seconds"] if state.history else 0.0

        def record(stage: str, losses: dict[str, float]) -> None:
            metrics = evaluate(
                self._executor, self._eval, self._eval_reader, self._eval_fetch_list,
                self._eval_feed_list, self._scope,
            )  # fmt: skip
            seconds = before + time.monotonic() - started
            row = {"stage": stage, "epoch": state.epoch, "seconds": seconds, **losses, **metrics}
            state.history.append(row)
            _tell(row, self._config.epoch)

        if not state.history:
            record("baseline", {})
        while True:
            for strategy in self._config.strategies:
                if is_due(strategy, state, self._config.epoch):
                    repair = self._prune(strategy, state)
                    record("pruned", {})
                    if repair:
                        repair()
                        record("reconstructed", {})
            if state.epoch == self._config.epoch:
                break
            losses = self._train_epoch(state.epoch)
            state.epoch += 1
            last = state.epoch == self._config.epoch
            if last or state.epoch % self._config.eval_epoch == 0:
                record("trained", losses)
            if not last:  # that one is saved below, as the run's end
                self._save(state)
        if not state.finished:
            state.finished = True
            self._save(state)
        return self._history(state)

    @property
    def train_graph(self) -> GraphWrapper:
        """The train Program as it is now; `.program` gives it."""
        return GraphWrapper(self._train)

    @property
    def eval_graph(self) -> GraphWrapper:
        """The eval Program as it is now; `.program` gives it."""
        return GraphWrapper(self._eval)

    def _start(self) -> RunState:
        """Programs and scope at the start, or where the last checkpoint left them."""
        self._train, self._eval = self._given
        self._after = self._whole
        if self._config.init_model:
            load_weights(self._eval, self._config.init_model, self._scope, strict=True)
        folder, fingerprint = self._config.checkpoint_path, self._fingerprint()
        if fingerprint["start weights"] == self._left:
            raise ValueError(
                "the scope holds what a run that was stopped has left: run the startup program "
                "(and load the weights) again, and it goes on from its last checkpoint"
            )
        found = checkpoints.find(folder, fingerprint) if folder else None
        if found:
            state, arrays, path = found
            if not state.finished:
                checkpoints.check_room(folder, self._train)
            for ratios in state.cuts:
                self._after = Plan(self._dependencies(), ratios)
                programs = [self._train, self._eval]
                self._train, self._eval = reshape_programs(self._after, programs)
            for name, array in arrays.items():
                write_tensor(self._scope, name, array)
            if state.cuts:
                self.plan = Plan(self._whole.dependencies, state.cuts[0])
            if self._scheduler:
                self._scheduler.set_state_dict(state.lr_scheduler)
            ended = "this run has ended; its result is in" if state.finished else "going on from"
            print(f"{ended} {path} ({state.epoch} epochs trained)")
            return state
        self._check_scope()
        if folder:
            checkpoints.clear(folder)
            checkpoints.check_room(folder, self._train)
        if self._scheduler:
            self._scheduler.set_state_dict(self._first_lr)
        return RunState(fingerprint, 0, [], {}, [], None, False)

    def _fingerprint(self) -> dict[str, Any]:
        strategies = [asdict(strategy) for strategy in self._config.strategies]
        return {
            "epoch": self._config.epoch,
            "eval_epoch": self._config.eval_epoch,
            "strategies": strategies,
            "start weights": self._digest(),
        }

    def _digest(self) -> str:
        return weights_digest(self._scope, self._whole.shapes)

    def _check_scope(self) -> None:
        for var in self._given[0].list_vars():
            found = self._scope.find_var(var.name) if var.persistable else None
            if found is None or not found.get_tensor()._is_initialized():
                continue
            shape = tuple(found.get_tensor().shape())
            if len(shape) == len(var.shape) and shape != tuple(var.shape):
                raise ValueError(
                    f"{var.name} has shape {shape} in the scope and {tuple(var.shape)} in the "
                    "train Program, as after an earlier run: run the startup program (and load "
                    "the weights) again"
                )

    def _prune(self, strategy: PruneStrategy, state: RunState) -> Callable[[], None] | None:
        """Cut, and return what repairs the cut network, if the strategy wants that."""
        metric = self._metric(strategy)
        plan = plan_step(strategy, self._dependencies(), self._scope, metric, state.epoch)
        repair = self._repair(plan, strategy) if strategy.reconstruct_images else None
        programs = [self._train, self._eval]
        self._train, self._eval = apply_plan(plan, programs, self._scope, strategy.criterions)
        if not state.cuts:
            self.plan = plan
        self._after = plan
        state.cuts.append(dict(plan.ratios))
        state.steps[strategy.name] = state.steps.get(strategy.name, 0) + 1
        print(plan.summary())
        return repair

    def _metric(self, strategy: PruneStrategy) -> Callable[[], float]:
        """What evaluates the network as it is, on the strategy's sample of the eval set."""
        fetch = [(k, v) for k, v in self._eval_fetch_list if k == strategy.metric_name]

        @cache
        def batches() -> tuple[Reader, FeedList | None]:
            if strategy.eval_rate is None:
                return self._eval_reader, self._eval_feed_list
            return sample(self._eval_reader, strategy.eval_rate, self._eval_feed_list), None

        def metric() -> float:
            reader, feed_list = batches()
            values = evaluate(self._executor, self._eval, reader, fetch, feed_list, self._scope)
            return values[strategy.metric_name]

        return metric

    def _repair(self, plan: Plan, strategy: PruneStrategy) -> Callable[[], None]:
        """Keeps the network as it is now, for `reconstruct` once it is cut."""
        cuts = cut_positions(plan, self._scope, strategy.criterions)
        scope = paddle.static.Scope()
        for name in plan.shapes:
            write_tensor(scope, name, read_tensor(self._scope, name))
        whole = ScopedProgram(self._eval, scope)

        def repair() -> None:
            pruned = ScopedProgram(self._eval, self._scope)
            reconstruct(plan, cuts, whole, pruned, self._images(strategy.reconstruct_images))
            empty_scope(scope)

        return repair

    def _images(self, count: int) -> list[np.ndarray]:
        """The first batches of the train reader's first epoch, as many as hold so many images."""
        set_epoch(self._train_reader, 0)
        image = first_input(self._train)
        batches = []
        for feed in feeds(self._train_reader, self._train_feed_list):
            batches.append(np.array(feed[image]))
            if sum(map(len, batches)) >= count:
                break
        return batches

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the train reader; the mean of each fetch over its batches."""
        set_epoch(self._train_reader, epoch)
        names = [name for _, name in self._train_fetch_list]
        batches, totals = 0, np.zeros(len(names))
        description = f"epoch {epoch + 1}/{self._config.epoch}"
        with child_scope(self._scope) as scope:
            executor = paddle.static.Executor(self._executor.place)
            for feed in progress(feeds(self._train_reader, self._train_feed_list), description):
                values = executor.run(self._train, feed=feed, fetch_list=names, scope=scope)
                values = np.array([float(np.mean(value)) for value in values])
                if not math.isfinite(values[0]):
                    raise TrainingError(
                        f"{self._train_fetch_list[0][0]} is {values[0]} at {description}, batch "
                        f"{batches + 1}: a lower learning rate may help"
                    )
                totals += values
                batches += 1
                if self._scheduler:
                    self._scheduler.step()
        if not batches:
            raise TrainingError("the train reader gave no batch")
        self._check_finite(description)
        return dict(
            zip((label for label, _ in self._train_fetch_list), totals / batches, strict=True)
        )

    def _check_finite(self, description: str) -> None:
        """A relu turns nan into 0, so that layers may be lost and the loss not show it."""
        for name in self._whole.shapes:
            if not np.isfinite(read_tensor(self._scope, name)).all():
                raise TrainingError(
                    f"{name} is no longer finite after {description}: a lower learning rate may "
                    "help"
                )

    def _save(self, state: RunState) -> None:
        if self._config.checkpoint_path is None:
            return
        state.lr_scheduler = self._scheduler.state_dict() if self._scheduler else None
        checkpoints.save(
            self._config.checkpoint_path, state, [self._train, self._eval], self._scope
        )

    def _history(self, state: RunState) -> History:
        return History(
            rows=state.history,
            cuts=state.cuts,
            flops_before=self._whole.flops,
            flops_after=self._after.flops,
            parameters_before=self._whole.parameters,
            parameters_after=self._after.parameters,
        )

    def _dependencies(self) -> Dependencies:
        """Those of the network as it is, whole or cut."""
        return self._whole.dependencies if self._after is self._whole else analyse(self._eval)

    def _with_optimizer(self, program: Program, optimizer) -> Program:
        program, startup = program.clone(), Program()
        with paddle.static.program_guard(program, startup):
            optimizer.minimize(program.global_block().var(self._train_fetch_list[0][1]))
        self._executor.run(startup, scope=self._scope)
        return program


def _check_labels(fetch_list: FetchList) -> None:
    """All of them stand in one row of the history, beside what it tells of itself."""
    taken = ["stage", "epoch", "seconds"]
    for label, _ in fetch_list:
        if label in taken:
            raise ValueError(f"the fetch lists name {label!r} twice, or it is one of {taken[:3]}")
        taken.append(label)


def _check_fetches(program: Program, fetch_list: FetchList) -> None:
    for label, name in fetch_list:
        if not program.global_block().has_var(name):
            raise ValueError(f"fetch {label!r}: the Program has no Variable {name!r}")


def _tell(row: dict[str, Any], epochs: int) -> None:
    numbers = {k: v for k, v in row.items() if isinstance(v, float) and k != "seconds"}
    shown = ", ".join(f"{label} {value:.4f}" for label, value in numbers.items())
    stage = f"epoch {row['epoch']}/{epochs}" if row["stage"] == "trained" else row["stage"]
    print(f"{stage}: {shown} ({row['seconds']:.0f} s)", flush=True)
