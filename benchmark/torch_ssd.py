"""The same detector and loss in eager PyTorch, with the same weights, for comparison."""

from collections.abc import Mapping
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssd_model.network import BLOCKS, EXTRAS
from ssd_model.prior_matching import assign_targets


class MobileNetSSD(nn.Module):
    """`ssd_model.network.mobilenet_ssd`, unpruned or pruned.

    Args:
        arrays: parameters by their names in the Program.
        class_num: classes, the background included.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], class_num: int):
        super().__init__()
        self.class_num = class_num
        self._arrays = arrays
        self._convs, self._depthwise, self._norms = count(), count(), count()
        stem = self._conv_bn(stride=2, padding=1)
        blocks = [
            nn.Sequential(self._depthwise_bn(stride), self._conv_bn()) for _, stride in BLOCKS
        ]
        extras = [
            nn.Sequential(self._conv_bn(), self._conv_bn(stride=2, padding=1)) for _ in EXTRAS
        ]
        # Each of these ends in a feature map.
        self.stages = nn.ModuleList(
            [nn.Sequential(stem, *blocks[:11]), nn.Sequential(*blocks[11:]), *extras]
        )
        self.heads = nn.ModuleList(
            nn.ModuleList([self._conv(bias=True), self._conv(bias=True)]) for _ in self.stages
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Compute locations [N, P, 4] and confidences [N, P, class_num] of images [N, 3, S, S]."""
        x, locations, confidences = image, [], []
        for stage, (location, confidence) in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            locations.append(_flatten(location(x), 4))
            confidences.append(_flatten(confidence(x), self.class_num))
        return torch.cat(locations, 1), torch.cat(confidences, 1)

    def _conv(self, stride: int = 1, padding: int = 0, bias: bool = False) -> nn.Conv2d:
        name = f"conv2d_{next(self._convs)}"
        weight = self._arrays[f"{name}.w_0"]
        outputs, inputs, size, _ = weight.shape
        conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=bias)
        _fill(conv.weight, weight)
        if bias:
            _fill(conv.bias, self._arrays[f"{name}.b_0"])
        return conv

    def _conv_bn(self, stride: int = 1, padding: int = 0) -> nn.Sequential:
        return self._with_norm(self._conv(stride, padding))

    def _depthwise_bn(self, stride: int) -> nn.Sequential:
        weight = self._arrays[f"depthwise_conv2d_{next(self._depthwise)}.w_0"]
        channels = len(weight)
        conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        _fill(conv.weight, weight)
        return self._with_norm(conv)

    def _with_norm(self, conv: nn.Conv2d) -> nn.Sequential:
        name = f"batch_norm_{next(self._norms)}"
        norm = nn.BatchNorm2d(conv.out_channels)
        parts = norm.weight, norm.bias, norm.running_mean, norm.running_var
        for tensor, end in zip(parts, ("w_0", "b_0", "w_1", "w_2"), strict=True):
            _fill(tensor, self._arrays[f"{name}.{end}"])
        return nn.Sequential(conv, norm, nn.ReLU(inplace=True))


def boxes_and_scores(
    location: Tensor, confidence: Tensor, priors: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute boxes [N, P, 4] and scores [N, C, P], as at the end of the exported model."""
    size, centre = priors[:, 2:] - priors[:, :2], (priors[:, 2:] + priors[:, :2]) / 2
    middle = location[..., :2] * (variances[:, :2] * size) + centre
    half = (location[..., 2:] * variances[:, 2:]).exp() * (size / 2)
    return torch.cat([middle - half, middle + half], -1), confidence.softmax(-1).transpose(1, 2)


def ssd_loss(
    location: Tensor,
    confidence: Tensor,
    gt_box: np.ndarray,
    gt_label: np.ndarray,
    priors: np.ndarray,
    variances: np.ndarray,
) -> Tensor:
    """Compute `ssd_model.ssd_loss.ssd_loss` with its defaults, summed over the batch."""
    targets = assign_targets(gt_box, gt_label, priors, variances)
    label, offsets, positive = map(torch.from_numpy, targets)
    conf_loss = F.cross_entropy(confidence.transpose(1, 2), label, reduction="none")
    hardness = (conf_loss.detach() + 1) * (1 - positive)
    rank = hardness.argsort(1, descending=True).argsort(1)
    negative = (rank < 3 * positive.sum(1, keepdim=True)) * (1 - positive)
    loc_loss = F.smooth_l1_loss(location, offsets, reduction="none").sum(-1)
    loss = (conf_loss * (positive + negative) + loc_loss * positive).sum()
    return loss / positive.sum().clamp(min=1)


def _flatten(head: Tensor, width: int) -> Tensor:
    return head.permute(0, 2, 3, 1).reshape(len(head), -1, width)


def _fill(tensor: Tensor, array: np.ndarray) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(array))
