"""Metadata that make an ONNX file usable without its source."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from paddle.base.framework import Operator
from paddle.static import Program, Variable

from ssd_model.data.loader import MEAN, SCALE

SUPPRESSION = ("background_label", "score_threshold", "nms_top_k", "nms_threshold", "keep_top_k")
PRIORS = ("min_sizes", "max_sizes", "aspect_ratios", "flip", "clip", "offset", "step_w", "step_h")


def metadata(
    program: Program, image: Variable, classes: Sequence[str] | None = None
) -> dict[str, str]:
    """Collect facts about a detector, as JSON by name.

    Args:
        program: the eval Program.
        classes: the class names, without the background.

    Returns:
        preprocessing: how `preprocess` makes the input; suppression: what follows the boxes and
        scores; priors: how those of each map are laid out; classes, if given: names in the order
        of their labels, the background first.

    Raises:
        ValueError: the number of names is not the network's number of classes.
    """
    block = program.global_block()
    (nms,) = (op for op in block.ops if op.type == "multiclass_nms3")
    _, labels, priors = block.var(nms.input("Scores")[0]).shape
    facts = {
        "preprocessing": {
            "size": list(image.shape[:1:-1]),
            "resize": "stretched, bilinear",
            "channels": "BGR",
            "mean": MEAN,
            "scale": SCALE,
        },
        "suppression": _attributes(nms, SUPPRESSION),
        "priors": {
            "count": priors,
            "maps": [
                {"size": list(block.var(op.input("Input")[0]).shape[:1:-1])}
                | _attributes(op, (*PRIORS, "variances"))
                for op in block.ops
                if op.type == "prior_box"
            ],
        },
    }
    if classes is not None:
        if len(classes) + 1 != labels:
            raise ValueError(
                f"{len(classes)} names of classes, but the network has {labels - 1} "
                "and the background"
            )
        facts["classes"] = ["background", *classes]
    return {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what `metadata` wrote into an ONNX file."""
    return {fact.key: json.loads(fact.value) for fact in onnx.load(path).metadata_props}


def _attributes(op: Operator, names: Sequence[str]) -> dict:
    """Attributes of an operator, with float32 numbers as people write them."""
    return {name: _short(op.attr(name)) for name in names}


def _short(value):
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value
