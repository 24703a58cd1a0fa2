"""Train a network that is not pruned: the shipped baseline, one on new data, and the control."""

import json
from dataclasses import dataclass
from pathlib import Path

import paddle

from ssd_model.data.augment import Augmentation
from ssd_model.data.loader import make_loader
from ssd_model.data.voc import Split
from ssd_model.programs import Detector, build_program
from ssd_model.weights import load_weights, save_weights
from utils.compressor import Compressor
from utils.config import write_config
from utils.history import History
from utils.paths import BASELINE
from utils.workspace import Workspace


@dataclass(frozen=True)
class Trained:
    """A trained network: its eval Program, the scope of its parameters, what was measured."""

    evaluation: Detector
    scope: paddle.static.Scope
    history: History


def train(
    trainval: Split,
    test: Split,
    optimizer: paddle.optimizer.Optimizer,
    epochs: int,
    folder: Path,
    *,
    augmentation: Augmentation,
    batch_size: int,
    start: Path | None = None,
    image_size: int = 300,
    seed: int = 0,
) -> Trained:
    """Train with a `Compressor` whose config has no strategies; goes on where it was stopped.

    Args:
        epochs: passes over `trainval`; `test` is evaluated after each.
        folder: for the config and the checkpoints.
        start: weights to begin with, where they fit; the rest is random.
    """
    class_num = len(trainval.classes) + 1
    training = build_program(class_num, True, optimizer, image_size, seed)
    evaluation = build_program(class_num, False, image_size=image_size)
    scope = start_scope(training, evaluation, start)
    options = {"image_size": image_size, "seed": seed}
    compressor = Compressor(
        paddle.CPUPlace(),
        scope,
        training.program,
        train_reader=make_loader(
            trainval,
            training.feed_list,
            batch_size,
            augmentation=augmentation,
            shuffle=True,
            **options,
        ),
        train_fetch_list=[("loss", training.loss.name)],
        eval_program=evaluation.program,
        eval_reader=make_loader(test, evaluation.feed_list, batch_size, **options),
        eval_fetch_list=[("map", evaluation.map.name)],
    )
    config_file = folder / "train.yaml"
    write_config(config_file, epochs, folder)
    compressor.config(config_file)
    return Trained(evaluation, scope, compressor.run())


def fine_tune(work: Workspace, name: str, epochs: int, start: Path) -> Trained:
    """`train` on the data of a workspace, its checkpoints under `name`."""
    return train(
        work.trainval,
        work.test,
        work.optimizer(epochs),
        epochs,
        work.checkpoints / name,
        augmentation=work.augmentation,
        batch_size=work.profile.batch_size,
        start=start,
        seed=work.seed,
    )


def train_baseline(work: Workspace) -> None:
    """Train the network to prune on data that the shipped weights do not know.

    It begins with the shipped weights, as far as they fit, and is saved as `work.baseline`.
    """
    trained = fine_tune(work, "baseline", work.profile.baseline_epochs, BASELINE)
    metadata = {"classes": json.dumps(work.classes)}
    save_weights(trained.evaluation.program, work.baseline, trained.scope, "float16", metadata)


def start_scope(
    training: Detector, evaluation: Detector, weights: Path | None = None
) -> paddle.static.Scope:
    """A scope with random parameters for both Programs, or those of a file where they fit."""
    scope = paddle.static.Scope()
    executor = paddle.static.Executor(paddle.CPUPlace())
    for detector in (evaluation, training):
        executor.run(detector.startup_program, scope=scope)
    if weights:
        print(load_weights(evaluation.program, weights, scope))
    return scope
