"""Start the workers that train along with a `Compressor`, where `WORKERS` asks for them.

Each is a process of its own, `pruning.worker`. For every run, it gets through a pipe what its own
`Compressor` is made from.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
from paddle.optimizer.lr import LRScheduler
from paddle.static import Program
from paddle.static.nn.common import PyFuncRegistry

from ssd_model import workers
from ssd_model.runtime import cores
from ssd_model.star import Started, free_port

FUNCTION = "forward_callable_id"
"""The attribute by which an operator calls Python."""


class Recipe:
    """What a worker makes its `Compressor` from; it takes the weights over from worker 0.

    Args:
        train, evaluation: the Programs as they were given.
        others: the `Compressor`'s train reader, feed list and fetch list, its eval fetch list, and
            the file of its config.
    """

    def __init__(self, train: Program, evaluation: Program, *others: Any):
        self._train, self._evaluation = (
            program.desc.serialize_to_string() for program in (train, evaluation)
        )
        # A Program's description holds only the numbers of the Python functions that it calls.
        numbers = {op.attr(FUNCTION) for op in _calls(train)}
        self._functions = {n: PyFuncRegistry.registered_func(n) for n in numbers}
        self._lr_scheduler: LRScheduler | None = getattr(train, "lr_scheduler", None)
        self.folder = Path.cwd()
        """In which relative paths are meant: those of images, say."""
        self.others = others

    def programs(self) -> tuple[Program, Program]:
        """Make the train and the eval Program."""
        train = Program.parse_from_string(self._train)
        numbers = {old: PyFuncRegistry(function).id for old, function in self._functions.items()}
        for op in _calls(train):
            op._set_attr(FUNCTION, numbers[op.attr(FUNCTION)])
        if self._lr_scheduler:
            train.lr_scheduler = self._lr_scheduler
        return train, Program.parse_from_string(self._evaluation)


def _calls(program: Program) -> list:
    return [op for op in program.global_block().ops if op.type == "py_func"]


@contextmanager
def start_workers(*recipe: Any) -> Iterator[Sequence[Started]]:
    """A block in which this process is worker 0 of as many as `WORKERS` says.

    Args:
        recipe: see `Recipe`.

    Yields:
        The others; none where Paddle's launcher has started all, or one is enough.

    Raises:
        WorkersError: what they need cannot be sent to another process.
    """
    count = workers.expected()
    if workers.size() > 1 or count == 1:
        yield ()
        return
    try:
        told = cloudpickle.dumps(Recipe(*recipe))
    except Exception as error:  # whatever their own pickling raises
        raise workers.WorkersError(
            f"WORKERS={count}: the train reader or the learning-rate scheduler cannot be sent to "
            f"another process ({error}); start the workers with Paddle's launcher instead"
        ) from error
    environment, started = _started(count)
    os.environ.update(environment)
    try:
        for worker in started:
            with suppress(BrokenPipeError):  # it has ended: whoever waits for it says why
                worker.process.stdin.write(told)
                worker.process.stdin.flush()
        yield started
    except BaseException:
        if not workers.have_met():  # then others can still be started
            for worker in started:
                worker.process.kill()
            _started.cache_clear()
        raise
    finally:
        for name in environment:
            del os.environ[name]


@cache
def _started(count: int) -> tuple[dict[str, str], Sequence[Started]]:
    """Start workers, once: Paddle cannot make a second communicator in this process.

    They end with it, since that closes the pipe that they listen to.
    """
    environment = {
        "PADDLE_TRAINERS_NUM": str(count),
        "PADDLE_TRAINER_ENDPOINTS": f"127.0.0.1:{free_port()}",
    }
    common = environment | {
        "OMP_NUM_THREADS": str(max(1, cores() // count)),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TQDM_DISABLE": "1",
    }
    started = []
    for rank in range(1, count):
        log = tempfile.TemporaryFile()  # noqa: SIM115  (open for as long as it writes)
        process = subprocess.Popen(
            [sys.executable, "-m", "pruning.worker"],
            env=os.environ | common | {"PADDLE_TRAINER_ID": str(rank)},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl+C is for this process, which then ends its workers
        )
        started.append(Started(process, log))
    return environment, tuple(started)
