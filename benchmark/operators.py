"""Measure where a training step's time goes: milliseconds of each kind of operator."""

import argparse
import json
from collections import Counter

from benchmark.networks import Network
from benchmark.training import first_feed, paddle_steps
from ssd_model.profiling import profile_operators


def main() -> None:
    parser = argparse.ArgumentParser(description="Profile training steps.")
    parser.add_argument("target_ratio", type=float)
    parser.add_argument("--runs", type=int, required=True)
    arguments = parser.parse_args()
    step, feed = paddle_steps(Network(arguments.target_ratio))["train"], first_feed()
    for _ in range(3):
        step(feed)
    milliseconds = Counter()
    for kind, duration in profile_operators(lambda: step(feed), arguments.runs):
        milliseconds[kind] += duration / arguments.runs
    print(json.dumps({"milliseconds": dict(milliseconds.most_common())}))


if __name__ == "__main__":
    main()
