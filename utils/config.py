"""The compression config: the original's YAML, read as it is, and refused with line numbers."""

from dataclasses import dataclass
from pathlib import Path

from utils.yaml_section import ConfigError, Section

__all__ = [
    "CompressConfig",
    "ConfigError",
    "UniformPruneStrategy",
    "load_config",
    "the_strategy",
    "write_config",
]

STRATEGIES = ("UniformPruneStrategy",)
PRUNERS = ("StructurePruner",)
CRITERIA = ("l1_norm",)


@dataclass(frozen=True)
class UniformPruneStrategy:
    """Cut the same share of channels from every matched filter, once, before `start_epoch`."""

    name: str
    start_epoch: int
    target_ratio: float
    """Share of FLOPs to cut, in (0, 1)."""
    pruned_params: str
    """Regular expression of filter names."""
    metric_name: str | None


@dataclass(frozen=True)
class CompressConfig:
    """What a config file says."""

    epoch: int
    """Epochs of training in all."""
    eval_epoch: int
    """Evaluate after every so many epochs, and after the last."""
    checkpoint_path: Path | None
    init_model: Path | None
    """Weights to start from; without it, the scope as it is."""
    strategies: tuple[UniformPruneStrategy, ...]


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
    pruners = {name: _check_pruner(body) for name, body in top.section("pruners").sections()}
    strategies = {
        name: _strategy(name, body, pruners)
        for name, body in top.section("strategies", optional=True).sections()
    }
    compressor = top.section("compressor")
    compressor.allow("epoch", "eval_epoch", "checkpoint_path", "init_model", "strategies")
    epoch = compressor.integer("epoch", minimum=0)
    chosen = compressor.names("strategies", strategies)
    for name in chosen:
        if strategies[name].start_epoch > epoch:
            compressor.fail(
                "epoch",
                f"is {epoch}, so strategy {name} (start_epoch {strategies[name].start_epoch}) "
                "would never run",
            )
    return CompressConfig(
        epoch=epoch,
        eval_epoch=compressor.integer("eval_epoch", minimum=1, default=1),
        checkpoint_path=compressor.path("checkpoint_path"),
        init_model=compressor.path("init_model"),
        strategies=tuple(strategies[name] for name in chosen),
    )


HEAD = """\
version: 1.0
pruners:
    pruner_1:
        class: 'StructurePruner'
        pruning_axis:
            '*': 0
        criterions:
            '*': 'l1_norm'
"""
STRATEGIES_PART = """\
strategies:
    uniform_pruning_strategy:
        class: 'UniformPruneStrategy'
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
) -> None:
    """Write a config laid out as the original's: one uniform strategy, or none.

    Args:
        target_ratio, pruned_params: of the strategy; without a ratio, training is all.

    Raises:
        ConfigError: the values would not pass `load_config`.
    """
    text = HEAD
    if target_ratio is not None:
        pattern = _quote(pruned_params)
        text += STRATEGIES_PART.format(target_ratio=target_ratio, pruned_params=pattern)
    text += COMPRESSOR_PART.format(epoch=epoch, checkpoint_path=_quote(str(checkpoint_path)))
    if target_ratio is not None:
        text += "    strategies:\n        - uniform_pruning_strategy\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    load_config(path)


def the_strategy(path: Path) -> tuple[CompressConfig, UniformPruneStrategy]:
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


def _check_pruner(body: Section) -> None:
    body.allow("class", "pruning_axis", "criterions")
    body.choice("class", PRUNERS)
    for name, section in (("pruning_axis", (0,)), ("criterions", CRITERIA)):
        mapping = body.section(name)
        for key in mapping:
            mapping.choice(key, section)


def _strategy(name: str, body: Section, pruners: dict) -> UniformPruneStrategy:
    body.allow(
        "class",
        "pruner",
        "start_epoch",
        "end_epoch",
        "target_ratio",
        "pruned_params",
        "metric_name",
    )
    body.choice("class", STRATEGIES)
    body.choice("pruner", tuple(pruners))
    # Uniform pruning acts once: the original took an end_epoch here and did nothing with it.
    body.integer("end_epoch", minimum=0, default=0)
    return UniformPruneStrategy(
        name=name,
        start_epoch=body.integer("start_epoch", minimum=0, default=0),
        target_ratio=body.number("target_ratio", above=0, below=1),
        pruned_params=body.text("pruned_params"),
        metric_name=body.text("metric_name", optional=True),
    )
