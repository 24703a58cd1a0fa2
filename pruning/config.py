"""The compression config: the original's YAML format, with errors that give the line."""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import Field, SerializeAsAny

from pruning.checkpoints import KEEP
from pruning.criteria import CRITERIA, MEASURED
from pruning.fields import Count, FilePath, Positive, Record, Version
from pruning.left_out import refuse_left_out
from pruning.strategies import (
    BudgetPruneStrategy,
    PruneStrategy,
    SensitivePruneStrategy,
    UniformPruneStrategy,
)
from pruning.yaml_lines import ConfigError, YamlFile, shown
from ssd_model.files import write_file

STRATEGIES = {
    cls.__name__: cls for cls in (UniformPruneStrategy, SensitivePruneStrategy, BudgetPruneStrategy)
}


class CompressConfig(Record):
    """What a config file says."""

    epoch: Count
    """Epochs of training in all: the file's, or the latest `end_epoch` of its strategies."""
    eval_epoch: Positive = 1
    """Evaluate every this many epochs, and after the last."""
    checkpoint_path: FilePath | None = None
    keep: Literal[KEEP] = "last"
    """Which checkpoints to keep: the 'last' two; those and the one with the 'best' first metric
    since the last cut; or 'all'. The original had no such key and kept all."""
    best_from: Positive = 1
    """The first epoch that may be the best. Before the learning rate has come down, one that looks
    best has mostly been lucky. The original had no such key."""
    init_model: FilePath | None = None
    """A file or folder of weights to start from, see `ssd_model.weights.read_weights`. What fits is
    taken; a pruned network's weights set the shapes. Without it, training starts from the scope."""
    strategies: tuple[SerializeAsAny[PruneStrategy], ...]


class _File(Record):
    version: Version = 1.0
    pruners: dict[str, dict]
    strategies: dict[str, dict] = Field(default_factory=dict)
    compressor: dict[str, Any]


class _Pruner(Record):
    kind: Literal["StructurePruner"] = Field(alias="class")
    pruning_axis: dict[str, Literal[0]]
    criterions: dict[str, Literal[*CRITERIA, *MEASURED]]


def load_config(path: Path) -> CompressConfig:
    """Read a compression config.

    Raises:
        ConfigError: the file is not YAML; a key is unknown, missing or duplicated; a value has the
            wrong type or is out of range; or a strategy or pruner is named but not defined.
        FileNotFoundError: there is no such file.
    """
    file = YamlFile.read(Path(path))
    refuse_left_out(file)
    top = file.parse(_File)
    criterions = {name: _criterions(file, name) for name in top.pruners}
    strategies = {name: _strategy(file, name, criterions) for name in top.strategies}
    chosen = _chosen(file, top.compressor.get("strategies"), strategies)
    config = file.parse(CompressConfig, "compressor", settled=["strategies"], strategies=chosen)
    epoch = max([config.epoch, *(strategy.end_epoch for strategy in chosen)])
    for strategy in chosen:
        if strategy.start_epoch > epoch:
            file.fail(
                ("compressor", "epoch"),
                f"is {epoch}, so strategy {strategy.name} (start_epoch {strategy.start_epoch}) "
                "would never run",
            )
        if 1 < strategy.num_steps > epoch - strategy.start_epoch:
            file.fail(
                ("compressor", "epoch"),
                f"is {epoch}, but strategy {strategy.name} trains after each of its "
                f"{strategy.num_steps} steps: it needs {strategy.start_epoch + strategy.num_steps}",
            )
    return config.model_copy(update={"epoch": epoch})


def write_config(
    path: Path,
    epoch: int,
    checkpoint_path: Path,
    target_ratio: float | None = None,
    pruned_params: str = "",
    strategy: str = "UniformPruneStrategy",
    criterion: str = "l1_norm",
    keep: str = "last",
    best_from: int = 1,
    **keys: str | float,
) -> None:
    """Write a config in the original's layout, with one strategy or none.

    Args:
        target_ratio, pruned_params: the strategy's; without a ratio, the run only trains.
        strategy: the strategy's class.
        criterion: the pruner's criterion.
        keep, best_from: which checkpoints to keep, see `CompressConfig`.
        keys: further keys of the strategy, such as `num_steps`, `sensitivities_file` or
            `channel_multiple`.

    Raises:
        ConfigError: the values would not pass `load_config`.
    """
    name = strategy.removesuffix("PruneStrategy").lower() + "_pruning_strategy"
    own = {
        "class": strategy,
        "pruner": "pruner_1",
        "start_epoch": 0,
        "target_ratio": target_ratio,
        "pruned_params": pruned_params,
        "metric_name": "map",
        **keys,
    }
    plain = {key: v.item() if isinstance(v, np.generic) else v for key, v in own.items()}
    strategies = {} if target_ratio is None else {name: plain}
    pruner = {"class": "StructurePruner", "pruning_axis": {"*": 0}, "criterions": {"*": criterion}}
    content = {
        "version": 1.0,
        "pruners": {"pruner_1": pruner},
        "strategies": strategies,
        "compressor": {
            "epoch": epoch,
            "checkpoint_path": str(checkpoint_path),
            **({"keep": keep} if keep != "last" else {}),
            **({"best_from": best_from} if best_from > 1 else {}),
            "strategies": list(strategies),
        },
    }
    layout = {"sort_keys": False, "indent": 4, "width": math.inf, "allow_unicode": True}
    write_file(path, yaml.safe_dump(content, **layout).encode())
    load_config(path)


def load_single_strategy(path: Path) -> tuple[CompressConfig, PruneStrategy]:
    """Load a config and its only strategy, as the notebooks need it.

    Raises:
        ConfigError: see `load_config`; or the config has no strategy, several, or no epochs.
    """
    config = load_config(path)
    if len(config.strategies) != 1 or not config.epoch:
        raise ConfigError(
            f"{path}: the notebooks want one strategy and an epoch or more, but this one has "
            f"{len(config.strategies)} and {config.epoch}"
        )
    return config, config.strategies[0]


def _criterions(file: YamlFile, name: str) -> dict[str, str]:
    """The criterions of a pruner, which is checked; nothing else in it can vary."""
    criterions = file.parse(_Pruner, "pruners", name).criterions
    if "*" not in criterions:
        file.fail(("pruners", name, "criterions", "*"), "is missing")
    return criterions


def _strategy(file: YamlFile, name: str, criterions: dict[str, dict]) -> PruneStrategy:
    where = ("strategies", name)
    cls = STRATEGIES[file.choice(STRATEGIES, *where, "class")]
    strategy = file.parse(cls, *where, settled=["class", "pruner"], name=name, criterions={})
    pruner = file.choice(criterions, *where, "pruner")
    return strategy.model_copy(update={"criterions": criterions[pruner]})


def _chosen(file: YamlFile, names: Any, strategies: dict[str, PruneStrategy]) -> tuple:
    """The strategies that the compressor names."""
    where = ("compressor", "strategies")
    names = [] if names is None else names
    if not isinstance(names, list):
        file.fail(where, "must be a list of names")
    for name in names:
        if not isinstance(name, str) or name not in strategies:
            file.fail(
                where, f"names {shown(name)}, but strategies defines {shown(list(strategies))}"
            )
    if len(set(names)) < len(names):
        file.fail(where, f"names one twice: {shown(names)}")
    return tuple(strategies[name] for name in names)
