"""Measure how long pruned networks take on this machine, before any of them is trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from paddle.static import Executor, Program, Scope, Variable

from pruning.cut import apply_plan
from pruning.plan import Plan
from ssd_model.export.inference_model import save_inference_model
from ssd_model.place import default_place
from ssd_model.predict import compare_latency
from ssd_model.scope import empty_scope


def measure_latency(
    plans: Sequence[Plan],
    program: Program,
    startup: Program,
    image: Variable,
    outputs: list[Variable],
    folder: Path,
    runs: int = 20,
    rounds: int = 1,
) -> dict[int, float]:
    """Measure pruned networks on this machine: median milliseconds per image, by FLOPs.

    Each plan is carried out on random weights, which take as long as any, and saved from the image
    to the outputs. `ssd_model.predict.compare_latency` times each in its own processes.

    Args:
        program, startup: the eval Program and its startup program.
        image: [N, 3, S, S], the network's input.
        outputs: where timing ends; leave out what depends on the image, not on the channels, such
            as the choice among overlapping boxes.
        folder: where the models are saved.
        runs, rounds: see `compare_latency`.
    """
    prefixes: dict[str, Path] = {}
    for plan in plans:
        scope = Scope()
        Executor(default_place()).run(startup, scope=scope)
        (pruned,) = apply_plan(plan, [program], scope)
        prefixes[str(plan.flops)] = folder / f"flops-{plan.flops}"
        save_inference_model(prefixes[str(plan.flops)], pruned, image, outputs, scope)
        empty_scope(scope)
    black = np.zeros((1, *image.shape[1:]), "float32")
    times = compare_latency(prefixes, black, runs, rounds)
    return {int(flops): milliseconds for flops, milliseconds in times.items()}
