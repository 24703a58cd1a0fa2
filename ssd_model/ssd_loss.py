"""`ssd_loss` of Paddle 1.x, built from operators that today's Paddle still has."""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.static import Variable

from ssd_model.operators import batch_total, reduce_sum
from ssd_model.prior_matching import assign_targets


def ssd_loss(
    location: Variable,
    confidence: Variable,
    gt_box: Variable,
    gt_label: Variable,
    prior_box: Variable,
    prior_box_var: Variable | None = None,
    background_label: int = 0,
    overlap_threshold: float = 0.5,
    neg_pos_ratio: float = 3.0,
    neg_overlap: float = 0.5,
    loc_loss_weight: float = 1.0,
    conf_loss_weight: float = 1.0,
    match_type: str = "per_prediction",
    mining_type: str = "max_negative",
    normalize: bool = True,
    sample_size: int | None = None,
) -> Variable:
    """Compute SSD's loss: smooth L1 on matched offsets, cross entropy with hard negatives.

    It works like `fluid.layers.ssd_loss`, but takes padded ground truth instead of ragged.

    Args:
        location: [N, P, 4] predicted offsets.
        confidence: [N, P, C] logits.
        gt_box: [N, M, 4] normalised; gt_label: [N, M] int, -1 marks padding. An image without
            objects is all background; the original raised an error.
        prior_box, prior_box_var: [P, 4]; without variances, the offsets are not scaled.
        neg_pos_ratio: negatives kept for each positive, the hardest first.
        neg_overlap: a negative must overlap less than this. In the original an unmatched prior
            overlaps nothing, so any value above 0 admits all of them.
        sample_size: has no effect with 'max_negative', as in the original.
        match_type: 'per_prediction' or 'bipartite', see `match_priors`.
        normalize: divide by the number of positives in the batch. If there are none, because no
            prior overlaps an object, the loss is 0; the original returned NaN.

    Returns:
        [N, 1] loss of each image.

    Raises:
        ValueError: `match_type` or `mining_type` is unknown.
    """
    if match_type not in ("per_prediction", "bipartite"):
        raise ValueError(f"match_type is {match_type!r}: use 'per_prediction' or 'bipartite'")
    if mining_type != "max_negative":
        raise ValueError(f"mining_type is {mining_type!r}: only 'max_negative' is supported")

    if prior_box_var is None:
        prior_box_var = paddle.ones_like(prior_box)

    def targets(*tensors):
        label, offsets, positive = assign_targets(
            *map(np.array, tensors), background_label, match_type, overlap_threshold
        )
        return label[..., None], offsets, positive[..., None]

    batch, count = -1, prior_box.shape[0]
    target_label = _constant([batch, count, 1], "int64")
    target_offsets = _constant([batch, count, 4], "float32")
    positive = _constant([batch, count, 1], "float32")
    paddle.static.py_func(
        targets,
        [gt_box, gt_label, prior_box, prior_box_var],
        [target_label, target_offsets, positive],
    )

    conf_loss = F.cross_entropy(confidence, target_label, reduction="none")
    conf_weight = positive + _hard_negatives(
        conf_loss, positive, neg_pos_ratio if neg_overlap > 0 else 0.0
    )
    loc_loss = F.smooth_l1_loss(location, target_offsets, reduction="none")
    loc_loss = reduce_sum(loc_loss, axis=-1, keepdim=True)
    loss = conf_loss_weight * conf_loss * conf_weight + loc_loss_weight * loc_loss * positive
    loss = reduce_sum(loss, axis=1)
    if normalize:
        loss = loss / paddle.clip(batch_total(positive), min=1.0)
    return loss


def _constant(shape: list[int], dtype: str) -> Variable:
    """Create a Variable for Python code to fill; no gradient flows into it."""
    block = paddle.static.default_main_program().current_block()
    name = paddle.utils.unique_name.generate("ssd_target")
    return block.create_var(name=name, shape=shape, dtype=dtype, stop_gradient=True)


def _hard_negatives(conf_loss: Variable, positive: Variable, ratio: float) -> Variable:
    """Choose the unmatched priors of highest loss, `ratio` per positive: 1 for these, [N, P, 1]."""
    negative = 1 - positive
    # Positives sort last: a cross entropy is never below 0.
    hardness = (conf_loss.detach() + 1) * negative
    # The argsort of an argsort is each prior's place in the ranking, which `mine_hard_examples` of
    # Paddle 1.x got by sorting (SSD, arXiv 1512.02325, 2.2: negatives by highest confidence loss).
    rank = paddle.argsort(paddle.argsort(hardness, axis=1, descending=True), axis=1)
    wanted = (ratio * reduce_sum(positive, axis=1, keepdim=True)).astype("int64")
    return (rank < wanted).astype("float32") * negative
