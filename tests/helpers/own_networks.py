"""Networks that are no MobileNetV1-SSD: whole ones, at a size that a test can afford."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F
from paddle.static import Program
from paddle.vision import models

CPU = paddle.CPUPlace()


@dataclass
class Network:
    """Train and eval Program, and a scope with what they start from."""

    train: Program
    evaluation: Program
    loss: str
    output: str
    scope: object
    shape: tuple[int, ...]
    """Of an image."""

    def feed(self, seed: int = 0, images: int = 2) -> dict[str, np.ndarray]:
        return {
            "image": np.random.default_rng(seed)
            .normal(size=(images, *self.shape))
            .astype("float32")
        }

    def run(self, program: Program, fetch: str, seed: int = 0) -> np.ndarray:
        executor = paddle.static.Executor(CPU)
        (value,) = executor.run(
            program, feed=self.feed(seed), fetch_list=[fetch], scope=self.scope, use_prune=False
        )
        return value


def build(
    make: Callable[[paddle.static.Variable], paddle.static.Variable],
    shape: tuple[int, ...] = (3, 16, 16),
    seed: int = 0,
) -> Network:
    """A network with a loss that any output can have: its mean square.

    Args:
        make: gives the output for an image [N, *shape].
    """
    train, startup = Program(), Program()
    startup.random_seed = train.random_seed = seed + 1
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(train, startup):
        output = make(paddle.static.data("image", [-1, *shape]))
        loss = paddle.mean(paddle.square(output))
        evaluation = train.clone(for_test=True)
        # The loss only trains: an eval Program ends in what a network gives.
        evaluation = evaluation._prune([output.name])
        paddle.optimizer.Momentum(1e-3, 0.9).minimize(loss)
    scope = paddle.static.Scope()
    paddle.static.Executor(CPU).run(startup, scope=scope)
    return Network(train, evaluation, loss.name, output.name, scope, shape)


def vgg16(image):
    """Its features, and a head of its kind that is not a hundred million weights wide."""
    x = models.vgg.make_layers(models.vgg.cfgs["D"])(image)
    head = nn.Sequential(nn.Flatten(), nn.Linear(512 * 4, 32), nn.ReLU(), nn.Dropout())
    return nn.Linear(32, 4)(head(x))


def yolo_neck(image):
    """Three levels of a feature pyramid as in YOLOv3: 1x1, upsample, concat; a head at each."""

    def layer(x, filters, size=3, stride=1):
        conv = nn.Conv2D(x.shape[1], filters, size, stride, size // 2, bias_attr=False)
        return F.leaky_relu(nn.BatchNorm2D(filters)(conv(x)), 0.1)

    levels, x = [], layer(image, 8)
    for filters in (16, 24, 32):
        x = layer(x, filters, stride=2)
        x = x + layer(layer(x, filters // 2, 1), filters)
        levels.append(x)
    heads, route = [], None
    for level, filters in zip(reversed(levels), (16, 12, 8), strict=True):
        x = level if route is None else paddle.concat([route, level], axis=1)
        x = layer(x, filters, 1)
        heads.append(nn.Conv2D(2 * filters, 21, 1)(layer(x, 2 * filters)))
        if level is not levels[0]:
            route = F.interpolate(layer(x, filters // 2, 1), scale_factor=2, mode="nearest")
    # Boxes [N, places, 3 * 7] of all levels in a row.
    flat = [paddle.transpose(paddle.flatten(head, 2), [0, 2, 1]) for head in heads]
    return paddle.concat(flat, axis=1)


WHOLE: dict[str, Callable] = {
    "ResNet-18": lambda image: models.resnet18(num_classes=4)(image),
    "ResNet-50": lambda image: models.resnet50(num_classes=4)(image),
    "VGG16": vgg16,
    "MobileNetV2": lambda image: models.mobilenet_v2(scale=0.5, num_classes=4)(image),
    "MobileNetV3": lambda image: models.mobilenet_v3_small(num_classes=4)(image),
    "YOLOv3-like": yolo_neck,
}
"""Networks by name, all for images of 64 x 64."""
