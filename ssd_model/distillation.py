"""Learn from another network, in addition to the ground truth: from its answers or its features."""

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle.static import Variable

from ssd_model.operators import batch_total, reduce_sum


def distillation_loss(
    location: Variable,
    confidence: Variable,
    teacher_location: Variable,
    teacher_confidence: Variable,
) -> Variable:
    """Measure how far a network's answers are from its teacher's.

    For every prior, add the Kullback-Leibler divergence of the class probabilities (Hinton et al.,
    arXiv 1503.02531, at temperature 1) and the smooth L1 distance of the offsets, weighted by the
    probability that the teacher sees an object there.

    Args:
        location, teacher_location: [N, P, 4] offsets.
        confidence, teacher_confidence: [N, P, C] logits, the background's first.

    Returns:
        [N, 1] loss of each image, divided by the number of objects that the teacher sees in the
        batch (the sum of those probabilities, at least 1). No gradient flows to the teacher.
    """
    teacher_location, teacher_confidence = teacher_location.detach(), teacher_confidence.detach()
    probability = F.softmax(teacher_confidence)
    difference = F.log_softmax(teacher_confidence) - F.log_softmax(confidence)
    divergence = reduce_sum(probability * difference, axis=-1)
    distance = reduce_sum(F.smooth_l1_loss(location, teacher_location, reduction="none"), axis=-1)
    seen = 1 - probability[:, :, 0]
    loss = reduce_sum(divergence + seen * distance, axis=1, keepdim=True)
    return loss / paddle.clip(batch_total(seen), min=1.0)


def feature_loss(own: Sequence[Variable], teachers: Sequence[Variable]) -> Variable:
    """Measure how far feature maps are from a teacher's (Romero et al., FitNets, arXiv 1412.6550).

    Args:
        own, teachers: [N, ...] each, of the same shapes.

    Returns:
        [N, 1] squared distances, each as a share of the teacher's square, added up over the maps
        and divided by the images of the batch. No gradient flows to the teacher.
    """
    shares = []
    for mine, taught in zip(own, teachers, strict=True):
        mine, taught = (paddle.reshape(x, [0, -1]) for x in (mine, taught.detach()))
        distance, whole = (
            reduce_sum(paddle.square(x), axis=1, keepdim=True) for x in (mine - taught, taught)
        )
        shares.append(distance / paddle.clip(whole, min=1e-6))
    total = paddle.add_n(shares)
    return total / batch_total(paddle.ones_like(total))
