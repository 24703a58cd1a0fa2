"""The criteria that decide which filters matter least, as in paddleslim.

Each returns the importance of a layer's filters, [C_out]; the least important go first.
"""

import numpy as np

from pruning.dependencies import Conv
from ssd_model.scope import read_tensor

CRITERIA = ("l1_norm", "geometry_median", "bn_scale")
"""Computed from the weights alone."""
MEASURED = ("taylor", "reconstruction")
"""Measured on images, see `pruning.ranking`."""


def l1_norm(weight: np.ndarray) -> np.ndarray:
    """Sum each filter's absolute weights (Li et al., arXiv 1608.08710).

    Args:
        weight: [C_out, C_in, H, W].
    """
    return np.abs(weight).sum(axis=(1, 2, 3))


def geometry_median(weight: np.ndarray) -> np.ndarray:
    """Sum each filter's distances to the others (He et al., arXiv 1811.00250).

    A filter that is close to all others can be replaced by them, however large its weights are.

    Args:
        weight: [C_out, C_in, H, W].
    """
    flat = weight.reshape(len(weight), -1).astype("float64")
    squares = (flat**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * flat @ flat.T
    return np.sqrt(distances.clip(min=0)).sum(axis=1)


def bn_scale(scale: np.ndarray) -> np.ndarray:
    """How much the batch norm behind each filter lets through (Liu et al., arXiv 1708.06519).

    Args:
        scale: [C_out], the batch norm's scale.
    """
    return np.abs(scale)


def importance(criterion: str, conv: Conv, scope) -> np.ndarray:
    """Rank a convolution's filters by a named criterion: their importance, [C_out].

    Raises:
        ValueError: there is no such criterion, or it is `bn_scale` and no batch norm follows.
    """
    if criterion == "bn_scale":
        if conv.scale is None:
            raise ValueError(f"bn_scale cannot rank {conv.name}: no batch norm follows it")
        return bn_scale(read_tensor(scope, conv.scale))
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is {criterion!r}: use one of {', '.join(CRITERIA)}")
    rank = {"l1_norm": l1_norm, "geometry_median": geometry_median}[criterion]
    return rank(read_tensor(scope, conv.name))
