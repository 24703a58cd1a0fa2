"""Time the operators of Programs, one by one."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from paddle.profiler import Profiler, ProfilerTarget


def profile_operators(run: Callable[[], object], runs: int) -> list[tuple[str, float]]:
    """Time every operator that some runs execute: its kind and milliseconds, in order."""
    # Without a handler, the profiler would leave a folder of logs.
    with Profiler(targets=[ProfilerTarget.CPU], on_trace_ready=lambda _: None) as profiler:
        for _ in range(runs):
            run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export(str(path), "json")
        events = json.loads(path.read_text())["traceEvents"]
    operators = [event for event in events if event.get("cat") == "Operator"]
    # An event's name is its kind, followed by its duration in brackets.
    return [
        (event["name"].partition("[")[0], event["dur"] / 1e3)
        for event in sorted(operators, key=lambda event: event["ts"])
    ]
