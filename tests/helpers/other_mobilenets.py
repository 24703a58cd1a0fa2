"""The same network as PaddleClas and PaddleDetection name it, to make weights of theirs.

The names are those of `ppcls/arch/backbone/legendary_models/mobilenet_v1.py`,
`ppdet/modeling/backbones/mobilenet_v1.py`, `ppdet/modeling/heads/ssd_head.py`, and for static
Programs of `ppdet/modeling/backbones/mobilenet.py` before Paddle 2.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import paddle
from paddle import ParamAttr, nn

BLOCKS = {
    "conv2_1": (32, 64, 1),
    "conv2_2": (64, 128, 2),
    "conv3_1": (128, 128, 1),
    "conv3_2": (128, 256, 2),
    "conv4_1": (256, 256, 1),
    "conv4_2": (256, 512, 2),
    **{f"conv5_{i}": (512, 512, 1) for i in range(1, 6)},
    "conv5_6": (512, 1024, 2),
    "conv6": (1024, 1024, 1),
}
EXTRAS = {
    "conv7_1": (1024, 256, 512),
    "conv7_2": (512, 128, 256),
    "conv7_3": (256, 128, 256),
    "conv7_4": (256, 64, 128),
}
MAPS = (512, 1024, 512, 256, 256, 128)
PRIORS = (3, 6, 6, 6, 6, 6)


class ConvBN(nn.Layer):
    def __init__(self, inputs, outputs, size, stride=1, groups=1, act=nn.functional.relu):
        super().__init__()
        self._conv = nn.Conv2D(
            inputs, outputs, size, stride, size // 2, groups=groups, bias_attr=False
        )
        self._batch_norm = nn.BatchNorm2D(outputs)
        self.act = act

    def forward(self, x):
        return self.act(self._batch_norm(self._conv(x)))


class Separable(nn.Layer):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self._depthwise_conv = ConvBN(inputs, inputs, 3, stride, groups=inputs)
        self._pointwise_conv = ConvBN(inputs, outputs, 1)

    def forward(self, x):
        return self._pointwise_conv(self._depthwise_conv(x))


class Extra(nn.Layer):
    def __init__(self, inputs, middle, outputs):
        super().__init__()
        self.pointwise_conv = ConvBN(inputs, middle, 1, act=nn.functional.relu6)
        self.normal_conv = ConvBN(middle, outputs, 3, 2, act=nn.functional.relu6)

    def forward(self, x):
        return self.normal_conv(self.pointwise_conv(x))


class MobileNet(nn.Layer):
    """PaddleClas's classifier, or with `extras` the backbone of PaddleDetection's SSD."""

    def __init__(self, classes=10, scale=1.0, extras=False):
        super().__init__()
        self.conv1 = ConvBN(3, int(32 * scale), 3, 2)
        for name, (inputs, outputs, stride) in BLOCKS.items():
            block = Separable(int(inputs * scale), int(outputs * scale), stride)
            self.add_sublayer(name, block)
        for name, channels in EXTRAS.items() if extras else ():
            self.add_sublayer(name, Extra(*channels))
        if not extras:
            self.out = nn.Linear(int(1024 * scale), classes)

    def maps(self, x) -> list:
        """The map behind each block."""
        maps = [self.conv1(x)]
        for name in [*BLOCKS, *EXTRAS]:
            if hasattr(self, name):
                maps.append(getattr(self, name)(maps[-1]))
        return maps

    def forward(self, x):
        return self.out(self.maps(x)[-1].mean([2, 3]))


class Heads(nn.Layer):
    def __init__(self, classes):
        super().__init__()
        for i, (inputs, priors) in enumerate(zip(MAPS, PRIORS, strict=True)):
            self.add_sublayer(f"boxes{i}", nn.Conv2D(inputs, priors * 4, 1))
            self.add_sublayer(f"scores{i}", nn.Conv2D(inputs, priors * (classes + 1), 1))


class SSD(nn.Layer):
    """PaddleDetection's SSD; the background's score is the last."""

    def __init__(self, classes):
        super().__init__()
        self.backbone, self.ssd_head, self.classes = MobileNet(extras=True), Heads(classes), classes

    def forward(self, x):
        """Offsets [N, P, 4] and logits [N, P, classes + 1]."""
        outputs = {"boxes": [], "scores": []}
        for i, feature in enumerate(self.backbone.maps(x)[j] for j in (11, 13, 14, 15, 16, 17)):
            for kind, width in (("boxes", 4), ("scores", self.classes + 1)):
                head = getattr(self.ssd_head, f"{kind}{i}")(feature)
                flat = head.transpose([0, 2, 3, 1]).reshape([len(x), -1, width])
                outputs[kind].append(flat)
        return [paddle.concat(parts, 1).numpy() for parts in outputs.values()]


def state_of(layer: nn.Layer, seed: int = 0) -> dict[str, np.ndarray]:
    """The state dict of a layer, whose batch norms get statistics worth the name first."""
    rng = np.random.default_rng(seed)
    for name, value in layer.state_dict().items():
        if "_batch_norm" in name:
            value.set_value(rng.uniform(0.5, 1.5, value.shape).astype("float32"))
    layer.eval()
    return {name: value.numpy() for name, value in layer.state_dict().items()}


@contextmanager
def dynamic() -> Iterator[None]:
    """Paddle's other mode, while it lasts."""
    paddle.disable_static()
    try:
        with paddle.no_grad():
            yield
    finally:
        paddle.enable_static()


def static_ssd(image, classes: int) -> list:
    """PaddleDetection's SSD of Paddle 1.x up to its maps, with heads that nobody named."""
    x = _named(image, "conv1", 32, 3, 2)
    maps = []
    for name, (inputs, outputs, stride) in BLOCKS.items():
        x = _named(x, f"{name}_dw", inputs, 3, stride, inputs)
        x = _named(x, f"{name}_sep", outputs, 1)
        maps.append(x)
    maps = [maps[10], maps[12]]
    for name, (_, middle, outputs) in EXTRAS.items():
        x = _named(x, f"{name}_extra1", middle, 1)
        x = _named(x, f"{name}_extra2", outputs, 3, 2)
        maps.append(x)
    return [
        paddle.static.nn.conv2d(x, priors * width, 1)
        for x, priors in zip(maps, PRIORS, strict=True)
        for width in (4, classes)
    ]


def _named(x, name, channels, size, stride=1, groups=1):
    x = paddle.static.nn.conv2d(
        x, channels, size, stride, size // 2, groups=groups, name=f"{name}.conv2d.output.1",
        param_attr=ParamAttr(f"{name}_weights", nn.initializer.KaimingNormal()),
        bias_attr=False, use_cudnn=groups == 1,
    )  # fmt: skip
    return paddle.static.nn.batch_norm(
        x, act="relu", param_attr=ParamAttr(f"{name}_bn_scale"),
        bias_attr=ParamAttr(f"{name}_bn_offset"), moving_mean_name=f"{name}_bn_mean",
        moving_variance_name=f"{name}_bn_variance",
    )  # fmt: skip
