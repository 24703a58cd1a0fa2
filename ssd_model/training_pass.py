"""One pass of training; one pass of evaluation is in `ssd_model.evaluation`."""

import math

import numpy as np
import paddle
from paddle.static import Executor, Program, Scope

from ssd_model.data.readers import FeedList, Reader, feeds, set_epoch
from ssd_model.evaluation import FetchList
from ssd_model.progress import progress
from ssd_model.scope import child_scope, read_tensor


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

    The learning-rate scheduler of its optimizer, if there is one, steps after every batch.

    Args:
        executor: its place is where to run.
        fetch_list: (label, Variable name) pairs; the first is the loss.
        feed_list: see `feeds`.
        epoch: from 0; a reader that shuffles takes its order from it.
        description: of this pass, for the progress bar and for messages.

    Returns:
        Each fetch's mean over the batches, by label.

    Raises:
        TrainingError: no batch came, or the loss or a parameter is no longer finite.
    """
    set_epoch(reader, epoch)
    names = [name for _, name in fetch_list]
    scheduler = getattr(program, "lr_scheduler", None)
    batches, totals = 0, np.zeros(len(names))
    with child_scope(scope) as inside:
        executor = paddle.static.Executor(executor.place)
        for feed in progress(feeds(reader, feed_list), description):
            values = executor.run(program, feed=feed, fetch_list=names, scope=inside)
            values = np.array([float(np.mean(value)) for value in values])
            if not math.isfinite(values[0]):
                raise TrainingError(
                    f"{fetch_list[0][0]} is {values[0]} at {description}, batch {batches + 1}: "
                    "a lower learning rate may help"
                )
            totals += values
            batches += 1
            if scheduler:
                scheduler.step()
    if not batches:
        raise TrainingError("the train reader gave no batch")
    _check_finite(program, scope, description)
    means = (totals / batches).tolist()
    return dict(zip((label for label, _ in fetch_list), means, strict=True))


def _check_finite(program: Program, scope: Scope, description: str) -> None:
    """A relu turns nan into 0, so that layers may be lost and the loss not show it."""
    for parameter in program.all_parameters():
        if not np.isfinite(read_tensor(scope, parameter.name)).all():
            raise TrainingError(
                f"{parameter.name} is no longer finite after {description}: a lower learning rate "
                "may help"
            )
