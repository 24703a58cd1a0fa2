"""`Compressor` of PaddleSlim 1.x: train, prune when the config says so, evaluate, remember."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import paddle
from paddle.static import Program, Scope
from paddleslim.core import GraphWrapper

from pruning.checkpoints import RunState
from pruning.checks import check_config, check_fetches, check_labels
from pruning.config import CompressConfig, load_config
from pruning.history import History
from pruning.layer_samples import ScopedProgram, first_input
from pruning.plan import Plan
from pruning.pruned_network import PrunedNetwork
from pruning.ranking import rank
from pruning.reconstruct import Reconstruction
from pruning.resume import Resume
from pruning.start_workers import start_workers
from pruning.strategies import PruneStrategy, Step
from pruning.validation import Validation
from ssd_model import kernels, workers
from ssd_model.data.readers import FeedList, Reader, check_shareable, first_batches
from ssd_model.evaluation import FetchList, evaluate
from ssd_model.lock import lock
from ssd_model.runtime import return_freed_memory
from ssd_model.training_pass import train_epoch


class Compressor:
    """Compress a network by a config, as `fluid.contrib.slim.Compressor`.

    Unlike that one it reports metrics over the whole eval set, raises errors instead of logging
    them and going on, and prunes copies of the given Programs (in those it only chooses kernels):
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
        validation_reader: sensitivities are measured on it, so that the images of `eval_reader`
            decide nothing; it carries its own feed list. Without it they are measured on
            `eval_reader`, as in the original, which had no such argument.

    Raises:
        ValueError: something is missing, a fetch list names what is not in its Program, two
            fetches have one label, or several workers cannot share the train reader.
    """

    def __init__(
        self,
        place,
        scope: Scope,
        train_program: Program,
        train_reader: Reader | None = None,
        train_feed_list: FeedList | None = None,
        train_fetch_list: FetchList | None = None,
        eval_program: Program | None = None,
        eval_reader: Reader | None = None,
        eval_feed_list: FeedList | None = None,
        eval_fetch_list: FetchList | None = None,
        train_optimizer: paddle.optimizer.Optimizer | None = None,
        validation_reader: Reader | None = None,
    ):
        if eval_program is None or eval_reader is None or not eval_fetch_list:
            raise ValueError("Compressor needs eval_program, eval_reader and eval_fetch_list")
        train_fetch_list = train_fetch_list or []
        if train_optimizer is not None and not train_fetch_list:
            raise ValueError("train_optimizer minimises the first of train_fetch_list: name a loss")
        check_labels([*train_fetch_list, *eval_fetch_list])
        check_fetches(train_program, train_fetch_list)
        check_fetches(eval_program, eval_fetch_list)
        self._common: dict[str, Any] = {}  # what must be equal in all workers
        if train_reader is not None and workers.expected() > 1:
            self._common = check_shareable(train_reader, workers.expected())
        self._executor = paddle.static.Executor(place)
        self._train_reader, self._train_feed_list = train_reader, train_feed_list
        self._eval_reader, self._eval_feed_list = eval_reader, eval_feed_list
        self._train_fetch_list, self._eval_fetch_list = train_fetch_list, eval_fetch_list
        if train_optimizer is not None:
            train_program = self._with_optimizer(train_program, train_optimizer, scope)
        kernels.use_onednn(train_program)
        kernels.use_onednn(eval_program, everywhere=True)  # to reconstruct; evaluation fuses more
        self._network = PrunedNetwork(train_program, eval_program, scope)
        deciding = (validation_reader, None) if validation_reader else (eval_reader, eval_feed_list)
        self._validation = Validation(self._executor, self._network, *deciding, eval_fetch_list)
        scheduler = getattr(train_program, "lr_scheduler", None)
        self._resume = Resume(self._network, scheduler, eval_fetch_list[0][0])
        self._config: CompressConfig | None = None
        self.plan: Plan | None = None
        """What the first strategy will leave, or has left; None without strategies, and until
        a strategy that has to measure first has done so."""

    def config(self, config_file: Path) -> None:
        """Read a config and check it against the network, which is that of `init_model` if the
        config names one. No value is changed yet.

        Raises:
            ConfigError: see `load_config`; also an unknown `metric_name`, a criterion for what
                is no filter that can be cut, or training or reconstruction without a reader.
            PatternError, PlanError: a strategy cannot be carried out on this network.
            WeightsError, PlanError: `init_model` cannot be read, or is of another network.
        """
        config = load_config(config_file)
        self._network.restart_from(config.init_model)
        self._dependencies = start = self._network.dependencies
        labels = [label for label, _ in self._eval_fetch_list]
        given = self._network.train, self._train_reader is not None, bool(self._train_fetch_list)
        check_config(config, config_file, start, labels, *given)
        plans = [strategy.first_plan(start) for strategy in config.strategies]
        self.plan = plans[0] if plans else None
        self._config, self._config_file = config, Path(config_file).absolute()

    def run(self) -> History:
        """Carry the config out; a run that was stopped resumes from its last checkpoint.

        In processes that Paddle's launcher has started, and in those that this starts itself if
        `WORKERS` in the environment asks for them, all train one network together, and the first
        does the rest: see `ssd_model.workers`.

        A checkpoint is this run's if the config and the weights at the start are the same. The
        readers can't be compared: give other data another `checkpoint_path`.

        Raises:
            LockError: another run works in `checkpoint_path`, or it cannot be written.
            CheckpointError: it holds an unfinished run of another kind, or has no room left. The
                checkpoints of the epochs before are kept.
            SensitivityError: `sensitivities_file` holds those of another network.
            TrainingError: the loss or a parameter is no longer a number.
            PlanError: a later step of a strategy cannot reach its target.
            WeightsError: nothing in `init_model` fits, or it is damaged.
            ValueError: the scope's tensors do not fit the Programs, or are what a run that was
                stopped has left.
            WorkersError: the workers don't come together, were given different data, or cannot
                share the loss.
        """
        if self._config is None:
            raise ValueError("call config(path) before run()")
        folder, epochs = self._config.checkpoint_path, self._config.epoch
        locked = lock(folder) if folder and workers.is_first() else nullcontext()
        training = self._train_reader, self._train_feed_list, self._train_fetch_list
        given = *self._network.given, *training, self._eval_fetch_list, self._config_file
        starting = start_workers(*given) if epochs else nullcontext(())
        # The launcher's workers must be told of a folder in use; others need not even be started.
        first, then = (locked, nullcontext()) if workers.size() == 1 else (nullcontext(), locked)
        with first, starting as started, workers.together(started), then:
            strategies = [strategy.model_dump(mode="json") for strategy in self._config.strategies]
            workers.check_same({**self._common, "epochs": epochs, "strategies": strategies})
            state = self._resume.start(self._config)
            if state.steps:
                ratios = state.ratios[-sum(state.steps.values())]
                self.plan = Plan(self._dependencies, ratios)
            try:
                return self._run(state)
            except BaseException:
                self._resume.stopped(state)
                raise
            finally:
                return_freed_memory()

    def _run(self, state: RunState) -> History:
        epochs = self._config.epoch
        started = time.monotonic() - (state.history[-1]["seconds"] if state.history else 0.0)
        if not state.history:
            self._record(state, "baseline", started)
        while True:
            for strategy in self._config.strategies:
                done = state.steps.get(strategy.name, 0)
                if strategy.is_due(done, state.epoch, epochs, state.history):
                    self._prune(strategy, state, started)
            if state.epoch == epochs:
                break
            losses = self._train(state.epoch)
            state.epoch += 1
            is_last = state.epoch == epochs
            if is_last or state.epoch % self._config.eval_epoch == 0:
                self._record(state, "finetuned", started, losses)
            if not is_last:  # that one is saved below, as the run's end
                self._resume.save(self._config, state)
        if not state.finished:
            state.finished = True
            self._resume.save(self._config, state)
        return self._history(state)

    @property
    def train_graph(self) -> GraphWrapper:
        """The train Program as it is now; `.program` gives it."""
        return GraphWrapper(self._network.train)

    @property
    def eval_graph(self) -> GraphWrapper:
        """The eval Program as it is now; `.program` gives it."""
        return GraphWrapper(self._network.evaluation)

    def _train(self, epoch: int) -> dict[str, float]:
        return train_epoch(
            self._executor, self._network.train, self._train_reader, self._train_fetch_list,
            self._train_feed_list, self._network.scope, epoch,
            f"epoch {epoch + 1}/{self._config.epoch}",
        )  # fmt: skip

    def _record(
        self, state: RunState, stage: str, started: float, losses: dict[str, float] | None = None
    ) -> None:
        """Evaluate the network as it is now, and put a row into the history."""

        def measure() -> dict[str, Any]:
            metrics = evaluate(
                self._executor, self._network.evaluation, self._eval_reader, self._eval_fetch_list,
                self._eval_feed_list, scope=self._network.scope,
            )  # fmt: skip
            seconds = time.monotonic() - started
            at = {"stage": stage, "epoch": state.epoch, "seconds": seconds}
            row = {**at, **(losses or {}), **metrics}
            _print_row(row, self._config.epoch)
            return row

        state.history.append(workers.once(measure))

    def _prune(self, strategy: PruneStrategy, state: RunState, started: float) -> None:
        """One step of a strategy, and what reconstructs the network after it."""
        reconstruct = self._cut(strategy, state.epoch) if workers.is_first() else None
        state.ratios.append(workers.once(lambda: dict(self._network.plan.ratios)))
        self._network.spread(state.ratios)
        if not state.steps:
            self.plan = self._network.plan
        state.steps[strategy.name] = state.steps.get(strategy.name, 0) + 1
        self._record(state, "pruned", started)
        if strategy.reconstruct_images:
            if reconstruct:
                reconstruct()
            self._network.spread(state.ratios)
            self._record(state, "reconstructed", started)

    def _cut(self, strategy: PruneStrategy, epoch: int) -> Callable[[], None] | None:
        """Plan a step and carry it out; returns what is then to reconstruct the network."""
        network, dependencies, batches = self._network, self._network.dependencies, []
        if strategy.reconstruct_images:
            count = strategy.reconstruct_images
            batches = first_batches(self._train_reader, self._train_feed_list, count)
        before = ScopedProgram(network.evaluation, network.scope)
        training = ScopedProgram(network.train, network.scope)
        names = dependencies.match(strategy.pruned_params)
        ranking = rank(strategy.criterions, names, dependencies, before, training, batches)
        metric = self._validation.metric(strategy)
        plan = strategy.plan_step(Step(dependencies, before, ranking, metric, epoch))
        reconstruction = Reconstruction(plan, before, ranking.criterions) if batches else None
        network.prune(plan, ranking.criterions)
        print(plan.summary())
        if not reconstruction:
            return None
        images = [batch[first_input(network.train)] for batch in batches]
        after = ScopedProgram(network.evaluation, network.scope)
        return lambda: reconstruction.carry_out(after, images)

    def _history(self, state: RunState) -> History:
        unpruned, plan = self._network.unpruned, self._network.plan
        return History(
            rows=state.history,
            ratios=state.ratios,
            flops_before=unpruned.flops,
            flops_after=plan.flops,
            parameters_before=unpruned.parameters,
            parameters_after=plan.parameters,
        )

    def _with_optimizer(self, program: Program, optimizer, scope: Scope) -> Program:
        program, startup = program.clone(), Program()
        with paddle.static.program_guard(program, startup):
            optimizer.minimize(program.global_block().var(self._train_fetch_list[0][1]))
        self._executor.run(startup, scope=scope)
        return program


def _print_row(row: dict[str, Any], epochs: int) -> None:
    numbers = {k: v for k, v in row.items() if isinstance(v, float) and k != "seconds"}
    shown = ", ".join(f"{label} {value:.4f}" for label, value in numbers.items())
    names = {"baseline": "before training", "finetuned": f"epoch {row['epoch']}/{epochs}"}
    print(f"{names.get(row['stage'], row['stage'])}: {shown} ({row['seconds']:.0f} s)", flush=True)
