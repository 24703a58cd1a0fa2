"""Train a network from a split to its history, pruned on the way or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paddle

from pruning.compressor import Compressor
from pruning.config import write_config
from pruning.history import History
from ssd_model.data.augment import Augmentation
from ssd_model.data.loader import make_loader
from ssd_model.data.records import Split
from ssd_model.place import default_place
from ssd_model.programs import Detector, Lesson, build_detector, new_scope
from ssd_model.teacher import taught_by
from ssd_model.weights import load_weights
from utils.workspace import Workspace


@dataclass(frozen=True)
class Trained:
    """A trained network."""

    evaluation: Detector
    """As it was built."""
    program: paddle.static.Program
    """The eval Program, pruned if the network was."""
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
    teacher: tuple[Lesson, Path] | None = None,
    strategy: Mapping[str, Any] | None = None,
    image_size: int = 300,
    seed: int = 0,
    best_from: int | None = None,
    conv_rate: float = 1.0,
) -> Trained:
    """Train with a `Compressor`; goes on where it was stopped.

    Args:
        epochs: passes over `trainval`; `test` is evaluated after each.
        folder: for the config and the checkpoints.
        start: weights to begin with, where they fit; the rest is random.
        teacher: what to learn besides the ground truth, and the weights of the network that knows.
        strategy: how to prune, as arguments of `write_config`; not at all without.
        best_from: keep the best epoch, too, from this one on, see `CompressConfig`.
        conv_rate: see `mobilenet_ssd`.
    """
    class_num = len(trainval.classes) + 1
    lesson, knowing = teacher or (None, None)
    training = build_detector(class_num, True, optimizer, image_size, seed, lesson, conv_rate)
    evaluation = build_detector(class_num, False, image_size=image_size)
    scope = start_scope(training, evaluation, start)
    options = {"image_size": image_size, "seed": seed}
    train_reader = make_loader(
        trainval, training.feed_list, batch_size, augmentation=augmentation, shuffle=True, **options
    )
    if lesson:
        train_reader = taught_by(train_reader, knowing, class_num, lesson, image_size)
    compressor = Compressor(
        default_place(),
        scope,
        training.program,
        train_reader=train_reader,
        train_fetch_list=[("loss", training.loss.name)],
        eval_program=evaluation.program,
        eval_reader=make_loader(test, evaluation.feed_list, batch_size, **options),
        eval_fetch_list=[("map", evaluation.map.name)],
    )
    config_file = folder / "train.yaml"
    kept = {"keep": "best", "best_from": best_from} if best_from else {}
    write_config(config_file, epochs, folder, **kept, **(strategy or {}))
    compressor.config(config_file)
    history = compressor.run()
    return Trained(evaluation, compressor.eval_graph.program, scope, history)


def fine_tune(
    work: Workspace,
    name: str,
    epochs: int,
    start: Path,
    peak_rate: float | None = None,
    seed: int | None = None,
) -> Trained:
    """Train a network further on all images to train on; its last epoch counts.

    Args:
        name: of the folder for its checkpoints.
        peak_rate: highest learning rate; by default as after a cut.
        seed: of order, augmentation and fresh weights; by default the run's.
    """
    return train(
        work.trainval,
        work.test,
        work.optimizer(epochs, peak_rate),
        epochs,
        work.checkpoints / name,
        augmentation=work.augmentation,
        batch_size=work.profile.batch_size,
        start=start,
        seed=work.seed if seed is None else seed,
        conv_rate=work.profile.conv_rate,
    )


def start_scope(
    training: Detector, evaluation: Detector, weights: Path | None = None
) -> paddle.static.Scope:
    """A scope with random parameters for both Programs, or those of a file where they fit."""
    scope = new_scope(evaluation, training)
    if weights:
        print(load_weights(evaluation.program, weights, scope))
    return scope
