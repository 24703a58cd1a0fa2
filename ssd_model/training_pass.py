"""One pass of training; one pass of evaluation is in `ssd_model.evaluation`."""

import gc
import math
from collections.abc import Iterator

import numpy as np
import paddle
from paddle.static import Executor, Program, Scope

from ssd_model import workers
from ssd_model.data.readers import FeedList, Reader, feeds, set_epoch
from ssd_model.data_parallel import (
    IMAGES,
    LOSS,
    check_loss,
    data_parallel,
    loss_of_one,
    shares,
)
from ssd_model.evaluation import FetchList
from ssd_model.progress import progress
from ssd_model.scope import child_scope, kept_variables, read_tensor, weights_digest


class TrainingError(RuntimeError):
    """Training that cannot go on."""


def train_epoch(
    executor: Executor,
    program: Program,
    reader: Reader,
    fetch_list: FetchList,
    feed_list: FeedList | None,
    scope: Scope,
    epoch: int,
    description: str,
) -> dict[str, float]:
    """Run a train Program once over all batches of a reader.

    The learning-rate scheduler of its optimizer, if there is one, steps after every batch. Several
    workers call this at the same time, and train one network, each on its share of every batch.

    Args:
        executor: its place is where to run.
        fetch_list: (label, Variable name) pairs; the first is the loss.
        feed_list: see `feeds`.
        reader: for several workers one that `check_shareable` takes.
        epoch: from 0; a reader that shuffles takes its order from it.
        description: of this pass, for the progress bar and for messages.

    Returns:
        Each fetch's mean over the batches, by label.

    Raises:
        TrainingError: no batch came, the loss or a parameter is no longer finite, or the workers
            came to different weights.
        WorkersError: they cannot share this loss.
    """
    names = [name for _, name in fetch_list]
    scheduler = getattr(program, "lr_scheduler", None)
    batches, totals = 0, np.zeros(len(names))
    whole = None
    if workers.size() > 1 and workers.is_first():
        set_epoch(reader, epoch)
        whole = loss_of_one(program, next(feeds(reader, feed_list)), names[0], scope)
    program, feeding = _shared(program, reader, feed_list, epoch, len(names))
    with child_scope(scope) as inside, workers.threads():
        executor = paddle.static.Executor(executor.place)
        for feed, weights in progress(feeding, description):
            values = executor.run(program, feed=feed, fetch_list=names, scope=inside)
            values = np.array([float(np.mean(value)) for value in values])
            if not math.isfinite(values[0]):
                raise TrainingError(
                    f"{fetch_list[0][0]} is {values[0]} at {description}, batch {batches + 1}: "
                    "a lower learning rate may help"
                )
            if workers.size() > 1 and not batches:
                check_loss(weights[0] * values[0], whole)
            totals += weights * values
            batches += 1
            if scheduler:
                scheduler.step()
        # Else it lives on for many epochs, in a circle with what it has made for itself.
        del executor
        gc.collect()
    if not batches:
        raise TrainingError("the train reader gave no batch")
    _check_finite(program, scope, description)
    if workers.size() > 1:
        _check_equal(program, scope, description)
    means = (sum(np.array(total) for total in workers.gather(totals.tolist())) / batches).tolist()
    return dict(zip((label for label, _ in fetch_list), means, strict=True))


def _shared(
    program: Program, reader: Reader, feed_list: FeedList | None, epoch: int, fetches: int
) -> tuple[Program, Iterator[tuple[dict, np.ndarray]]]:
    """The Program to run, and for every batch what to feed it and the weights of the fetches."""
    if workers.size() == 1:
        set_epoch(reader, epoch)
        return program, ((feed, np.ones(fetches)) for feed in feeds(reader, feed_list))
    sampler = reader.batch_sampler
    sampler.set_epoch(epoch, workers.rank(), workers.size())
    sizes = sampler.sizes()

    def feeding():
        for feed, (own, images) in zip(feeds(reader, feed_list), sizes, strict=True):
            weights = shares(program, own, images)
            yield {**feed, **weights}, np.array([weights[LOSS], *[weights[IMAGES]] * (fetches - 1)])

    return data_parallel(program), feeding()


def _check_equal(program: Program, scope: Scope, description: str) -> None:
    names = sorted(var.name for var in kept_variables(scope, [program]))
    digests = workers.gather(weights_digest(scope, names))
    others = [str(i) for i, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise TrainingError(
            f"after {description} the weights of worker {', '.join(others)} are not those of "
            "worker 0: workers must run the same Paddle, on processors of one kind"
        )


def _check_finite(program: Program, scope: Scope, description: str) -> None:
    """A relu turns nan into 0, so that layers may be lost and the loss not show it."""
    for parameter in program.all_parameters():
        if not np.isfinite(read_tensor(scope, parameter.name)).all():
            raise TrainingError(
                f"{parameter.name} is no longer finite after {description}: a lower learning rate "
                "may help"
            )
