"""Check what a Compressor is given before anything runs."""

from collections.abc import Sequence
from pathlib import Path

from paddle.static import Program

from pruning.config import CompressConfig, ConfigError
from pruning.dependencies import Dependencies
from pruning.ranking import measured
from pruning.selection import why_not_measured
from pruning.strategies import BudgetPruneStrategy, PruneStrategy
from ssd_model.evaluation import FetchList

ROW = ("stage", "epoch", "seconds")
"""Labels that every row of a history has."""


def check_labels(fetch_list: FetchList) -> None:
    """Refuse labels that would collide in a row of the history.

    Raises:
        ValueError: two fetches share a label, or a label is one of `ROW`.
    """
    taken = list(ROW)
    for label, _ in fetch_list:
        if label in taken:
            raise ValueError(f"the fetch lists name {label!r} twice, or it is one of {list(ROW)}")
        taken.append(label)


def check_fetches(program: Program, fetch_list: FetchList) -> None:
    """Refuse a fetch list that names a Variable its Program lacks.

    Raises:
        ValueError: the Program has no Variable of that name.
    """
    for label, name in fetch_list:
        if not program.global_block().has_var(name):
            raise ValueError(f"fetch {label!r}: the Program has no Variable {name!r}")


def check_config(
    config: CompressConfig,
    config_file: Path,
    dependencies: Dependencies,
    metrics: Sequence[str],
    train: Program | None,
    has_reader: bool,
    has_loss: bool,
) -> None:
    """Refuse a config that needs what the Compressor was not given.

    Args:
        dependencies: those of the unpruned network.
        metrics: labels of the eval fetch list.
        train: the train Program, if there is one.
        has_reader, has_loss: whether there are a train reader and a train fetch list.

    Raises:
        ConfigError: something it needs is missing; the message names the file and the key.
        PatternError: a strategy's pattern does not fit the network.
    """
    for strategy in config.strategies:
        name = f"{config_file}: {strategy.name}"
        if strategy.metric_name not in (None, *metrics):
            raise ConfigError(
                f"{name}.metric_name is {strategy.metric_name!r}, but eval_fetch_list has "
                f"{list(metrics)}"
            )
        if strategy.reconstruct_images and not has_reader:
            raise ConfigError(
                f"{name}.reconstruct_images is {strategy.reconstruct_images}, but there is no "
                "train_reader to take them from"
            )
        matched = dependencies.match(strategy.pruned_params)
        for filter_name in strategy.criterions.keys() - {"*"}:
            if filter_name not in dependencies.groups:
                raise ConfigError(
                    f"{config_file}: criterions names {filter_name!r}, which is not a filter that "
                    "can be cut"
                )
            for master in set(matched) & set(dependencies.groups[filter_name].filters):
                if master != filter_name:
                    raise ConfigError(
                        f"{config_file}: criterions names {filter_name!r}, which is cut with "
                        f"{master!r}: that one's criterion ranks both"
                    )
        _check_measured(strategy, name, dependencies, train)
    if config.epoch and not (has_reader and has_loss):
        raise ConfigError(
            f"{config_file}: compressor.epoch is {config.epoch}, but there is no train_reader "
            "or train_fetch_list"
        )


def _check_measured(
    strategy: PruneStrategy, name: str, dependencies: Dependencies, train: Program | None
) -> None:
    """Refuse criteria that cannot be measured here."""
    matched = dependencies.match(strategy.pruned_params)
    asked = measured(strategy.criterions, matched)
    if isinstance(strategy, BudgetPruneStrategy) and asked["reconstruction"] != matched:
        raise ConfigError(
            f"{name} compares layers by what their cut costs the layers behind: it needs the "
            "criterion reconstruction for all of them"
        )
    for criterion, filters in asked.items():
        if filters and not strategy.reconstruct_images:
            raise ConfigError(
                f"{name}: the criterion {criterion} is measured on training images; say how "
                "many, as reconstruct_images: 160"
            )
    for filter_name in asked["reconstruction"]:
        if reason := why_not_measured(dependencies, filter_name):
            raise ConfigError(f"{name}: {filter_name} {reason}; name another criterion for it")
    for filter_name in asked["taylor"]:
        if train is None or not train.global_block().has_var(f"{filter_name}@GRAD"):
            raise ConfigError(
                f"{name}: the criterion taylor needs the gradient of {filter_name}, which "
                "train_program does not have"
            )
