"""MobileNetV1-SSD 300x300 as a static graph (Howard et al., arXiv 1704.04861; Liu et al., SSD).

The layers are in the original's order, so the parameters get its names: conv2d_0.w_0,
depthwise_conv2d_0.w_0, conv2d_1.w_0, ... conv2d_33.b_0.
"""

import paddle
from paddle import ParamAttr
from paddle.nn.initializer import KaimingUniform
from paddle.static import Variable

from ssd_model.multi_box_head import multi_box_head

# (output channels, stride) of the 13 depthwise separable blocks
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
BLOCKS += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
# (channels between, output channels) of the four extra maps: 5x5, 3x3, 2x2, 1x1
EXTRAS = [(256, 512), (128, 256), (128, 256), (64, 128)]

# Prior sizes of each map at 300x300, in pixels
MIN_SIZES = [60.0, 105.0, 150.0, 195.0, 240.0, 285.0]
MAX_SIZES = [None, 150.0, 195.0, 240.0, 285.0, 300.0]
ASPECT_RATIOS = [[2.0]] + [[2.0, 3.0]] * 5


def mobilenet_ssd(
    image: Variable, class_num: int, conv_rate: float = 1.0
) -> tuple[Variable, Variable, Variable, Variable, list[Variable]]:
    """Build the network up to its raw heads.

    Args:
        image: [N, 3, S, S], BGR, about -1..1. The prior sizes, made for S = 300, scale with S.
        class_num: classes, the background (0) included.
        conv_rate: learning rate of the filters that batch norm follows (all but those of the
            heads), as a multiple of the optimizer's; 0.1 in the original.

    Returns:
        locations [N, P, 4], confidences [N, P, class_num] (logits), priors [P, 4] and their
        variances [P, 4], where P is 1917 at S = 300; and the six feature maps that the heads read.
    """
    attr = ParamAttr(initializer=KaimingUniform(), learning_rate=conv_rate)
    x = _conv_bn(image, attr, 32, filter_size=3, stride=2, padding=1)
    features = []
    for block, (channels, stride) in enumerate(BLOCKS, start=1):
        x = _depthwise_separable(x, attr, channels, stride)
        if block in (11, 13):
            features.append(x)
    for middle, channels in EXTRAS:
        x = _conv_bn(x, attr, middle, filter_size=1)
        x = _conv_bn(x, attr, channels, filter_size=3, stride=2, padding=1)
        features.append(x)
    size = image.shape[2]
    answers = multi_box_head(
        inputs=features,
        image=image,
        base_size=size,
        num_classes=class_num,
        min_sizes=[pixels * size / 300 for pixels in MIN_SIZES],
        max_sizes=[pixels * size / 300 if pixels else [] for pixels in MAX_SIZES],
        aspect_ratios=ASPECT_RATIOS,
    )
    return *answers, features


def _conv_bn(
    x: Variable,
    attr: ParamAttr,
    channels: int,
    filter_size: int,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> Variable:
    x = paddle.static.nn.conv2d(
        x,
        channels,
        filter_size,
        stride,
        padding,
        groups=groups,
        param_attr=attr,
        bias_attr=False,
        # How Paddle is told to use its own depthwise operator, after which the filters are named
        use_cudnn=groups == 1,
    )
    return paddle.static.nn.batch_norm(x, act="relu")


def _depthwise_separable(x: Variable, attr: ParamAttr, channels: int, stride: int) -> Variable:
    """Apply a 3x3 filter to each channel alone, then a plain 1x1 convolution across them."""
    width = x.shape[1]
    x = _conv_bn(x, attr, width, filter_size=3, stride=stride, padding=1, groups=width)
    return _conv_bn(x, attr, channels, filter_size=1)
