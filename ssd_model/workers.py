"""Processes that train together: who this one is, and what they tell each other.

`python -m paddle.distributed.launch` starts them, or a `Compressor` does, where `WORKERS` in the
environment asks for several. The environment says who is who. Gradients go by gloo, from within
Programs (`ssd_model.data_parallel`); all else goes through worker 0 (`ssd_model.star`). Where there
is one worker, all this does nothing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

from ssd_model.place import on_cpu
from ssd_model.runtime import cores
from ssd_model.star import Star, Started, WorkersError

__all__ = [
    "WorkersError",
    "check_same",
    "expected",
    "gather",
    "have_met",
    "is_first",
    "once",
    "rank",
    "size",
    "threads",
    "together",
]

_star: Star | None = None  # made once: Paddle's operators keep the first communicator they get


def rank() -> int:
    """Which of the workers this process is, from 0."""
    return int(os.environ.get("PADDLE_TRAINER_ID", 0))


def size() -> int:
    """How many workers there are now."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", 1))


def expected() -> int:
    """How many workers will train: the launcher's, or as many as `WORKERS` asks for, else 1.

    Raises:
        ValueError: `WORKERS` is no number of workers, or there is no CPU for them to train on.
    """
    said = os.environ.get("PADDLE_TRAINERS_NUM") or os.environ.get("WORKERS") or "1"
    if not said.isdecimal() or int(said) < 1:
        raise ValueError(f"WORKERS is {said!r}: give the number of processes that are to train")
    if int(said) > 1 and not on_cpu():
        raise ValueError("several workers train on CPUs only so far: set PLACE=cpu, or WORKERS=1")
    return int(said)


def is_first() -> bool:
    """Whether this is worker 0, which evaluates, prints and writes files."""
    return rank() == 0


@contextmanager
def together(started: Sequence[Started] = ()) -> Iterator[None]:
    """A block that all workers go through, or none: when one fails or dies in it, all others end.

    They end with a sentence that names it, and with its traceback if it has one.

    Args:
        started: the other workers, if this process has started them. It outlives them: it gets
            the sentence as an error.

    Raises:
        WorkersError: the workers do not come together, or one of those started is gone.
    """
    global _star
    if size() == 1:
        yield
        return
    if _star is None:
        first = os.environ["PADDLE_TRAINER_ENDPOINTS"].split(",")[0]
        _star = Star(rank(), size(), first, started)
    if _star.size != size():
        raise WorkersError(
            f"this process has begun with {_star.size} workers, and cannot go on with {size()}: "
            "start Python anew (restart the kernel), and the run resumes"
        )
    _star.enter()
    try:
        _star.connect_gloo()
        yield
        _star.leave()
    except BaseException as error:
        _star.fail(error)
        raise


def have_met() -> bool:
    """Whether this process has been in `together` with others."""
    return _star is not None


def gather(value: Any) -> list:
    """Every worker's value, by rank; JSON can hold it. All workers call this, inside `together`."""
    return [value] if size() == 1 else _star.gather(value)


def once(function: Callable[[], Any]) -> Any:
    """What a function returns in worker 0, which alone calls it; JSON can hold it."""
    return gather(function() if is_first() else None)[0]


def check_same(facts: dict[str, Any]) -> None:
    """See that all workers say the same.

    Raises:
        WorkersError: they don't.
    """
    for other, said in enumerate(gather(facts)):
        for what, value in facts.items():
            if said[what] != value:
                raise WorkersError(
                    f"{what}: {value!r} in worker {rank()}, {said[what]!r} in worker {other}; "
                    "all workers must be given the same"
                )


@contextmanager
def threads() -> Iterator[None]:
    """A block in which this process leaves their cores to the workers that it has started.

    Alone, it computes on all cores.
    """
    if size() == 1 or not _star.started:
        yield
        return
    with threadpool_limits(max(1, cores() // size())):
        yield
