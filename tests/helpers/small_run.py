"""A Compressor on small images of noise, for the tests."""

import numpy as np
import paddle

from pruning.compressor import Compressor
from ssd_model.programs import build_detector
from ssd_model.scope import read_tensor

CPU = paddle.CPUPlace()
SIZE = 96


def make_batch(seed: int, images: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.4, (images, 2, 2))
    return {
        "image": rng.normal(size=(images, 3, SIZE, SIZE)).astype("float32"),
        "gt_box": np.concatenate([low, low + 0.4], axis=2).astype("float32"),
        "gt_label": rng.integers(1, 3, (images, 2)).astype("int32"),
        "gt_difficult": np.zeros((images, 2), "int32"),
    }


BATCHES = [make_batch(0), make_batch(1), make_batch(2, images=1)]


SCOPES: list[paddle.static.Scope] = []
"""Of all setups; each test frees its own, since Paddle keeps a scope until the process ends."""


class Setup:
    """A network in a scope of its own, and a Compressor on it."""

    def __init__(self, train_reader=BATCHES, optimizer_inside=True, **arguments):
        schedule = paddle.optimizer.lr.CosineAnnealingDecay(1e-3, 6)
        optimizer = paddle.optimizer.Momentum(schedule, 0.9)
        self.train = build_detector(3, True, optimizer if optimizer_inside else None, SIZE)
        self.eval = build_detector(3, False, image_size=SIZE)
        self.scope = paddle.static.Scope()
        SCOPES.append(self.scope)
        self.executor = paddle.static.Executor(CPU)
        for detector in (self.train, self.eval):
            self.executor.run(detector.startup_program, scope=self.scope)
        self.compressor = Compressor(
            CPU,
            self.scope,
            self.train.program,
            train_reader=train_reader,
            train_fetch_list=[("loss", self.train.loss.name)],
            eval_program=self.eval.program,
            eval_reader=BATCHES,
            eval_fetch_list=[("map", self.eval.map.name)],
            train_optimizer=None if optimizer_inside else optimizer,
            **arguments,
        )


def weights(setup: Setup) -> dict[str, np.ndarray]:
    names = [p.name for p in setup.eval.program.all_parameters()]
    return {name: read_tensor(setup.scope, name) for name in names}


class Interrupted:
    """Readers' batches, until the given number of batches has been handed out."""

    def __init__(self, left: int):
        self.left = left

    def __iter__(self):
        for batch in BATCHES:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            yield batch
