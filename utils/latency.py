"""How long pruned networks take on this machine, before any is trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pruning.cut import apply_plan
from pruning.plan import Plan
from ssd_model.export.inference_model import save_inference_model
from ssd_model.export.predict import compare_latency
from ssd_model.programs import Detector, new_scope
from ssd_model.scope import empty_scope


def measure_latency(
    plans: Sequence[Plan],
    detector: Detector,
    folder: Path,
    runs: int = 20,
    rounds: int = 1,
) -> dict[int, float]:
    """Median milliseconds an image of pruned networks on this machine, by FLOPs.

    Each plan is carried out on random weights, which take as long as any, saved with its raw heads
    and timed in processes of its own (`ssd_model.export.predict.compare_latency`). What follows the
    heads, the choice among overlapping boxes, depends on the image rather than on the channels, and
    is left out.

    Args:
        detector: an eval Program with its image, location and confidence.
        folder: for the saved models.
        runs, rounds: see `compare_latency`.
    """
    prefixes: dict[str, Path] = {}
    for plan in plans:
        scope = new_scope(detector)
        (program,) = apply_plan(plan, [detector.program], scope)
        prefixes[str(plan.flops)] = folder / f"flops-{plan.flops}"
        outputs = [detector.location, detector.confidence]
        save_inference_model(prefixes[str(plan.flops)], program, detector.image, outputs, scope)
        empty_scope(scope)
    image = np.zeros((1, *detector.image.shape[1:]), "float32")
    times = compare_latency(prefixes, image, runs, rounds)
    return {int(flops): milliseconds for flops, milliseconds in times.items()}
