"""One worker: milliseconds of a training step, and of its parts. `benchmark.workers` starts it."""

import argparse
import json
import time

import numpy as np
import paddle
import psutil
from paddle.static import Program, Scope

from benchmark.networks import Network
from benchmark.training import paddle_programs
from ssd_model import workers
from ssd_model.data_parallel import data_parallel, shares
from ssd_model.scope import child_scope, write_tensor
from ssd_model.star import RING

WARM_UP = 2


def timed(program: Program, scope: Scope, runs: int, feed: dict, *fetch: str) -> list[float]:
    """Time the runs of a Program that all workers begin at once, in milliseconds."""
    times = []
    with child_scope(scope) as inside:
        executor = paddle.static.Executor(paddle.CPUPlace())
        workers.gather(None)
        for _ in range(WARM_UP + runs):
            start = time.perf_counter()
            executor.run(program, feed=feed, fetch_list=list(fetch), scope=inside)
            times.append(1e3 * (time.perf_counter() - start))
    return times[WARM_UP:]


def add_up(numbers: int, runs: int) -> list[float]:
    """Time how long it takes to add so many numbers up over the workers, in milliseconds."""
    program, scope = Program(), Scope()
    block = program.global_block()
    block.create_var(name="piece", shape=[numbers], dtype="float32", persistable=True)
    block.append_op(
        type="all_reduce",
        inputs={"x": "piece"},
        outputs={"out": "piece"},
        attrs={"ring_id": RING, "reduce_type": 0},
    )
    write_tensor(scope, "piece", np.zeros(numbers, "float32"))
    return timed(program, scope, runs, {})


def memory_mb() -> float:
    """What all workers take together, in MB (on Linux; elsewhere nan); what they share counts once.

    The process that has started them has its part of what they share, but is none of them.
    """
    mine = psutil.Process().memory_full_info()
    if not hasattr(mine, "pss"):
        return float("nan")
    own = sum(workers.gather(mine.pss))
    starter = psutil.Process().parent().memory_full_info()
    return (own + starter.pss - starter.uss) / 1e6


def measure(network: Network, feed: dict[str, np.ndarray], runs: int) -> dict[str, object]:
    """Measure inside `together`; a worker without others measures its step alone.

    Args:
        feed: a batch, of which each worker takes its share.
    """
    (program, _), (loss, _), scope = paddle_programs(network)
    images = len(feed["image"])
    own = images // workers.size()
    mine = slice(workers.rank() * own, (workers.rank() + 1) * own)
    feed = {name: value[mine] for name, value in feed.items()}
    megabytes, calls, milliseconds = 0.0, 0, {}
    if workers.is_first():
        milliseconds["alone"] = timed(program, scope, runs, feed, loss)
    else:
        workers.gather(None)  # worker 0 begins; this one waits for it below
    if workers.size() > 1:
        milliseconds["beside"] = timed(program, scope, runs, feed, loss)
        shared = data_parallel(program)
        feed |= shares(program, own, images)
        milliseconds["prepared"] = timed(_unsent(shared), scope, runs, feed, loss)
        milliseconds["step"] = timed(shared, scope, runs, feed, loss)
        *_, taken_apart = (op for op in shared.global_block().ops if op.type == "split")
        numbers = sum(taken_apart.attr("sections"))
        megabytes = 4 * numbers / 1e6
        calls = sum(op.type == "all_reduce" for op in shared.global_block().ops)
        milliseconds["adding up"] = add_up(numbers, runs)
        milliseconds["one number"] = add_up(1, 20 * runs)
    told = {"milliseconds": milliseconds, "megabytes": megabytes, "calls": calls}
    return told | {"memory_mb": memory_mb()}


def _unsent(program: Program) -> Program:
    """A copy that prepares the gradients for adding up, and doesn't."""
    program = program.clone()
    block = program.global_block()
    for index in reversed([i for i, op in enumerate(block.ops) if op.type == "all_reduce"]):
        block._remove_op(index)
    return program


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the steps of one worker.")
    parser.add_argument("target_ratio", type=float)
    parser.add_argument("feed", help="the .npz file of a batch")
    parser.add_argument("--runs", type=int, required=True)
    arguments = parser.parse_args()
    with workers.together():
        told = measure(
            Network(arguments.target_ratio), dict(np.load(arguments.feed)), arguments.runs
        )
    print(json.dumps(told))


if __name__ == "__main__":
    main()
