"""Time search and cut here, and the cut alone with `paddleslim.prune.Pruner`."""

import argparse
import json
import time

from paddleslim.prune import Pruner

from benchmark.networks import CLASS_NUM, Network
from pruning.cut import apply_plan
from pruning.dependencies import analyse
from ssd_model.optimizers import one_cycle
from ssd_model.place import default_place
from ssd_model.programs import build_detector, new_scope
from utils.profiles import FINE_TUNE_RATE


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the search of a plan, and the cut.")
    parser.add_argument("by", choices=("here", "paddleslim"))
    parser.add_argument("target_ratio", type=float)
    arguments = parser.parse_args()
    training = build_detector(CLASS_NUM, True, one_cycle(FINE_TUNE_RATE, 100))
    evaluation = build_detector(CLASS_NUM, False)
    scope = new_scope(evaluation, training)
    network, searching = Network(arguments.target_ratio), arguments.by == "here"
    start = time.perf_counter()
    plan = network.plan(analyse(evaluation.program))
    if searching:
        apply_plan(plan, [evaluation.program, training.program], scope)
    else:
        # paddleslim does not search: it is given the ratio.
        start = time.perf_counter()
        cut = (scope, list(plan.ratios), list(plan.ratios.values()), default_place())
        # The eval Program comes first, since ranks come from the scope, which the second call cuts.
        Pruner().prune(evaluation.program, *cut, only_graph=True)
        Pruner().prune(training.program, *cut)
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
