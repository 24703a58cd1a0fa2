"""Run an eval Program over a whole set: measure metrics, or collect detections."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import paddle
from paddle.static import Scope

from ssd_model.data.readers import FeedList, Reader, feeds
from ssd_model.detection_map import ACCUMULATED, BY_CLASS, HAS_STATE
from ssd_model.fusion import fused
from ssd_model.programs import Detector
from ssd_model.progress import progress
from ssd_model.scope import write_tensor

FetchList = Sequence[tuple[str, str]]


def evaluate(
    executor: paddle.static.Executor,
    program: paddle.static.Program,
    reader: Reader,
    fetch_list: FetchList,
    feed_list: FeedList | None = None,
    *,
    scope: Scope,
) -> dict[str, float | list[float]]:
    """Run a Program over all batches of a reader and return its metrics.

    A result of `detection_map` is reported over the whole set, ranked once, never as the mean of
    its batches. Any other metric is averaged, with each batch weighted by its number of images.

    Args:
        executor: the Program runs at this Executor's place.
        fetch_list: (label, Variable name) pairs, as in the `Compressor`.

    Returns:
        Values by label. For each mAP there is also '<label>_by_class', the AP of each class, the
        background's first; nan for classes without ground truth.

    Raises:
        ValueError: the reader yields no batch, or a parameter has no value in the scope.
    """
    block = program.global_block()
    maps = [name for _, name in fetch_list if block.has_var(name + ACCUMULATED)]
    plain = [name for _, name in fetch_list if name not in maps]
    fetches = plain + [name + end for name in maps for end in (ACCUMULATED, BY_CLASS)]
    for name in maps:
        write_tensor(scope, name + HAS_STATE, np.zeros(1, "int32"))

    totals, images, values = np.zeros(len(plain)), 0, []
    batches = progress(feeds(reader, feed_list), "evaluate")
    for size, values in _run(executor, program, batches, fetches, scope):
        totals += [size * float(np.mean(value)) for value in values[: len(plain)]]
        images += size
    if not images:
        raise ValueError("the eval reader gave no batch")
    means = dict(zip(plain, totals / images, strict=True))
    accumulated = dict(zip(fetches[len(plain) :], values[len(plain) :], strict=True))
    result: dict[str, float | list[float]] = {}
    for label, name in fetch_list:
        if name in maps:
            result[label] = float(accumulated[name + ACCUMULATED][0])
            result[f"{label}_by_class"] = accumulated[name + BY_CLASS].tolist()
        else:
            result[label] = float(means[name])
    return result


def detect(
    executor: paddle.static.Executor,
    program: paddle.static.Program,
    reader: Reader,
    detector: Detector,
    scope: Scope,
) -> list[np.ndarray]:
    """Collect what a network detects in each image of a reader.

    Args:
        executor: the Program runs at this Executor's place.
        program: the eval Program of the detector, pruned or unpruned.

    Returns:
        For each image [K, 6]: label, score, box normalised to 0..1.
    """
    image = detector.image.name
    # Feed the image alone: Paddle warns of any data that leads to no output.
    batches = ({image: feed[image]} for feed in progress(feeds(reader), "detect"))
    outputs = [detector.nmsed_out.name, detector.counts.name]
    found: list[np.ndarray] = []
    for _, (rows, counts) in _run(executor, program, batches, outputs, scope):
        found += np.split(rows, np.cumsum(counts)[:-1])
    return found


def _run(
    executor: paddle.static.Executor,
    program: paddle.static.Program,
    batches: Iterable[dict],
    fetches: list[str],
    scope: Scope,
) -> Iterator[tuple[int, list]]:
    """Yield the number of images in each batch, and the fetched values."""
    # A new one, since an Executor keeps the Programs that it has run.
    executor = paddle.static.Executor(executor.place)
    with fused(program, scope, fetches) as (program, scope):
        for feed in batches:
            yield (
                _images(feed),
                executor.run(program, feed=feed, fetch_list=fetches, scope=scope, use_prune=True),
            )


def _images(feed: dict) -> int:
    """The number of images in a batch: the length of its first tensor."""
    first = next(iter(feed.values()))
    return (first.shape() if callable(first.shape) else first.shape)[0]
