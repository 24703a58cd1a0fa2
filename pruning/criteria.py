"""Which filters matter least: the criteria of pruning, as paddleslim has them.

Each gives the importance of a layer's filters, [C_out]; the least important go first.
"""

import numpy as np

from pruning.dependencies import Conv
from ssd_model.scope import read_tensor

CRITERIA = ("l1_norm", "geometry_median", "bn_scale")
"""By the weights alone."""
MEASURED = ("taylor", "reconstruction")
"""Measured on images, see `pruning.ranking`."""


def l1_norm(weight: np.ndarray) -> np.ndarray:
    """The sum of a filter's absolute weights (Li et al., arXiv 1608.08710).

    Args:
        weight: [C_out, C_in, H, W].
    """
    return np.abs(weight).sum(axis=(1, 2, 3))


def geometry_median(weight: np.ndarray) -> np.ndarray:
    """The sum of a filter's distances to the others (He et al., arXiv 1811.00250).

    A filter near all others can be replaced by them, however large its weights are.

    Args:
        weight: [C_out, C_in, H, W].
    """
    flat = weight.reshape(len(weight), -1).astype("float64")
    squares = (flat**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * flat @ flat.T
    return np.sqrt(distances.clip(min=0)).sum(axis=1)


def bn_scale(scale: np.ndarray) -> np.ndarray:
    """How much the batch norm behind a filter lets through (Liu et al., arXiv 1708.06519).

    Args:
        scale: [C_out], the batch norm's.
    """
    return np.abs(scale)


def importance(criterion: str, conv: Conv, scope) -> np.ndarray:
    """Importance [C_out] of a convolution's filters, by the criterion of a name.

    Raises:
        ValueError: no such criterion, or `bn_scale` where no batch norm follows.
    """
    if criterion == "bn_scale":
        if conv.scale is None:
            raise ValueError(f"bn_scale cannot rank {conv.name}: no batch norm follows it")
        return bn_scale(read_tensor(scope, conv.scale))
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is {criterion!r}: use one of {', '.join(CRITERIA)}")
    rank = {"l1_norm": l1_norm, "geometry_median": geometry_median}[criterion]
    return rank(read_tensor(scope, conv.name))
