"""Where a training step's time goes: milliseconds of each kind of operator in a step."""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

from paddle.profiler import Profiler, ProfilerTarget

from benchmark.networks import Network
from benchmark.training import first_feed, paddle_steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Profile training steps.")
    parser.add_argument("target_ratio", type=float)
    parser.add_argument("--runs", type=int, required=True)
    arguments = parser.parse_args()
    step, feed = paddle_steps(Network(arguments.target_ratio))["train"], first_feed()
    for _ in range(3):
        step(feed)
    # Without a handler it would leave a folder of logs.
    profiler = Profiler(targets=[ProfilerTarget.CPU], on_trace_ready=lambda _: None)
    with profiler:
        for _ in range(arguments.runs):
            step(feed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export(str(path), "json")
        events = json.loads(path.read_text())["traceEvents"]
    milliseconds = Counter()
    for event in events:
        if event.get("cat") == "Operator":
            kind, _, _ = event["name"].partition("[")  # how long it took follows
            milliseconds[kind] += event["dur"] / 1e3 / arguments.runs
    print(json.dumps({"milliseconds": dict(milliseconds.most_common())}))


if __name__ == "__main__":
    main()
