"""The compression config: the original's YAML, read as it is, and refused with line numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pruning.criteria import CRITERIA
from pruning.cut import L1_NORM
from pruning.yaml_section import ConfigError, Section
from ssd_model.files import write_file

__all__ = [
    "CompressConfig",
    "ConfigError",
    "PruneStrategy",
    "SensitivePruneStrategy",
    "UniformPruneStrategy",
    "load_config",
    "load_single_strategy",
    "write_config",
]

PRUNERS = ("StructurePruner",)


@dataclass(frozen=True, kw_only=True)
class PruneStrategy:
    """What both strategies say."""

    name: str
    start_epoch: int
    """Epochs of training before the cut."""
    target_ratio: float
    """Share of FLOPs to cut, in (0, 1)."""
    pruned_params: str
    """Regular expression of filter names."""
    metric_name: str | None
    end_epoch: int = 0
    """As in the original, training goes on until here at least."""
    criterions: Mapping[str, str] = field(default_factory=lambda: dict(L1_NORM))
    """How to rank filters, see `pruning.criteria`: by filter name, '*' for all others."""
    channel_multiple: int = 1
    """Cut layers keep a multiple of so many channels. The original had no such key."""
    reconstruct_images: int = 0
    """After the cut, refit what is left on so many training images, see `pruning.reconstruct`. The
    original had no such key."""


@dataclass(frozen=True, kw_only=True)
class UniformPruneStrategy(PruneStrategy):
    """Cut the same share of channels from every matched filter, once, before `start_epoch`."""

    num_steps: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class SensitivePruneStrategy(PruneStrategy):
    """Cut most where the metric suffers least, see `pruning.sensitivity`, in one step or several.

    The first step comes before `start_epoch`, a later one when two evaluations since the last
    differ by less than 0.5 %, as in the original; or, unlike there, when just one epoch is left
    for each step, so that the target is always reached.
    """

    delta_rate: float = 0.2
    """Sensitivities are measured at this ratio, twice as much, and so on below 1."""
    num_steps: int = 1
    """Each step cuts the same share of the FLOPs that the one before it left."""
    eval_rate: float | None = None
    """Share of the eval batches to measure on; None: all."""
    sensitivities_file: str = "./sensitivities.json"
    """Measured once, and taken up again; steps after the first add `.epoch` and its number."""

    @property
    def step_ratio(self) -> float:
        """Share of the FLOPs that one step cuts."""
        return 1 - (1 - self.target_ratio) ** (1 / self.num_steps)


STRATEGIES = {cls.__name__: cls for cls in (UniformPruneStrategy, SensitivePruneStrategy)}


@dataclass(frozen=True)
class CompressConfig:
    """What a config file says."""

    epoch: int
    """Epochs of training in all: the file's, or the latest `end_epoch` of its strategies."""
    eval_epoch: int
    """Evaluate after every so many epochs, and after the last."""
    checkpoint_path: Path | None
    init_model: Path | None
    """Weights to start from; without it, the scope as it is."""
    strategies: tuple[PruneStrategy, ...]


def load_config(path: Path) -> CompressConfig:
    """Read a compression config.

    Raises:
        ConfigError: not YAML, an unknown, missing or doubled key, a wrong type, a value out of
            range, or a strategy or pruner that is named but not defined.
        FileNotFoundError: no such file.
    """
    path = Path(path)
    top = Section.read(path)
    top.allow("version", "pruners", "strategies", "compressor")
    top.number("version", minimum=1)
    pruners = {name: _criterions(body) for name, body in top.section("pruners").sections()}
    strategies = {
        name: _strategy(name, body, pruners)
        for name, body in top.section("strategies", optional=True).sections()
    }
    compressor = top.section("compressor")
    compressor.allow("epoch", "eval_epoch", "checkpoint_path", "init_model", "strategies")
    chosen = [strategies[name] for name in compressor.names("strategies", strategies)]
    epoch = compressor.integer("epoch", minimum=0)
    epoch = max([epoch, *(strategy.end_epoch for strategy in chosen)])
    for strategy in chosen:
        if strategy.start_epoch > epoch:
            compressor.fail(
                "epoch",
                f"is {epoch}, so strategy {strategy.name} (start_epoch {strategy.start_epoch}) "
                "would never run",
            )
        if 1 < strategy.num_steps > epoch - strategy.start_epoch:
            compressor.fail(
                "epoch",
                f"is {epoch}, but strategy {strategy.name} trains after each of its "
                f"{strategy.num_steps} steps: it needs {strategy.start_epoch + strategy.num_steps}",
            )
    return CompressConfig(
        epoch=epoch,
        eval_epoch=compressor.integer("eval_epoch", minimum=1, default=1),
        checkpoint_path=compressor.path("checkpoint_path"),
        init_model=compressor.path("init_model"),
        strategies=tuple(chosen),
    )


HEAD = """\
version: 1.0
pruners:
    pruner_1:
        class: 'StructurePruner'
        pruning_axis:
            '*': 0
        criterions:
            '*': {criterion}
"""
STRATEGIES_PART = """\
strategies:
    {name}:
        class: {strategy}
        pruner: 'pruner_1'
        start_epoch: 0
        target_ratio: {target_ratio}
        pruned_params: {pruned_params}
        metric_name: 'map'
"""
COMPRESSOR_PART = """\
compressor:
    epoch: {epoch}
    checkpoint_path: {checkpoint_path}
"""


def write_config(
    path: Path,
    epoch: int,
    checkpoint_path: Path,
    target_ratio: float | None = None,
    pruned_params: str = "",
    strategy: str = "UniformPruneStrategy",
    criterion: str = "l1_norm",
    **keys: str | float,
) -> None:
    """Write a config laid out as the original's: one strategy, or none.

    Args:
        target_ratio, pruned_params: of the strategy; without a ratio, training is all.
        strategy: its class.
        criterion: of the pruner.
        keys: more of the strategy's, such as `num_steps` and `sensitivities_file` or
            `channel_multiple`.

    Raises:
        ConfigError: the values would not pass `load_config`.
    """
    text = HEAD.format(criterion=_quote(criterion))
    name = strategy.removesuffix("PruneStrategy").lower() + "_pruning_strategy"
    if target_ratio is not None:
        text += STRATEGIES_PART.format(
            name=name,
            strategy=_quote(strategy),
            target_ratio=target_ratio,
            pruned_params=_quote(pruned_params),
        )
        for key, value in keys.items():
            text += f"        {key}: {_quote(value) if isinstance(value, str) else value}\n"
    text += COMPRESSOR_PART.format(epoch=epoch, checkpoint_path=_quote(str(checkpoint_path)))
    if target_ratio is not None:
        text += f"    strategies:\n        - {name}\n"
    write_file(path, text.encode())
    load_config(path)


def load_single_strategy(path: Path) -> tuple[CompressConfig, PruneStrategy]:
    """A config with its one strategy, as the notebooks want it.

    Raises:
        ConfigError: see `load_config`; or none or several strategies, or no epoch of training.
    """
    config = load_config(path)
    if len(config.strategies) != 1 or not config.epoch:
        raise ConfigError(
            f"{path}: the notebooks want one strategy and an epoch or more, but here are "
            f"{len(config.strategies)} and {config.epoch}"
        )
    return config, config.strategies[0]


def _quote(text: str) -> str:
    """A YAML string that means exactly this text."""
    return "'" + text.replace("'", "''") + "'"


def _criterions(body: Section) -> dict[str, str]:
    """What a pruner says, checked; its criterions are all that can vary."""
    body.allow("class", "pruning_axis", "criterions")
    body.choice("class", PRUNERS)
    axes, criterions = body.section("pruning_axis"), body.section("criterions")
    for key in axes:
        axes.choice(key, (0,))
    criterions.choice("*", CRITERIA)
    return {key: criterions.choice(key, CRITERIA) for key in criterions}


def _strategy(name: str, body: Section, pruners: dict) -> PruneStrategy:
    cls = STRATEGIES[body.choice("class", tuple(STRATEGIES))]
    sensitive = cls is SensitivePruneStrategy
    more = ("delta_rate", "num_steps", "eval_rate", "sensitivities_file") if sensitive else ()
    body.allow(
        "class",
        "pruner",
        "start_epoch",
        "end_epoch",
        "target_ratio",
        "pruned_params",
        "metric_name",
        "channel_multiple",
        "reconstruct_images",
        *more,
    )
    common = {
        "name": name,
        "criterions": pruners[body.choice("pruner", tuple(pruners))],
        "start_epoch": body.integer("start_epoch", minimum=0, default=0),
        "end_epoch": body.integer("end_epoch", minimum=0, default=0),
        "target_ratio": body.number("target_ratio", above=0, below=1),
        "pruned_params": body.text("pruned_params"),
        "metric_name": body.text("metric_name", optional=not sensitive),
        "channel_multiple": body.integer("channel_multiple", minimum=1, default=1),
        "reconstruct_images": body.integer("reconstruct_images", minimum=0, default=0),
    }
    if not sensitive:
        return cls(**common)
    delta_rate = body.number("delta_rate", minimum=0.01, default=0.2)
    if delta_rate >= 1:
        body.fail("delta_rate", f"is {delta_rate:g}; it must be below 1")
    return cls(
        **common,
        delta_rate=delta_rate,
        num_steps=body.integer("num_steps", minimum=1, default=1),
        eval_rate=_eval_rate(body),
        sensitivities_file=body.text("sensitivities_file", optional=True)
        or SensitivePruneStrategy.sensitivities_file,
    )


def _eval_rate(body: Section) -> float | None:
    """None, for all batches, where the file says nothing or 1."""
    if "eval_rate" not in body or body.number("eval_rate") == 1:
        return None
    return body.number("eval_rate", above=0, below=1)
