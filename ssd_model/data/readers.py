"""Read batches from both kinds of reader: with their own feed list, and without."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

Reader = Iterable | Callable[[], Iterable]
FeedList = Sequence[tuple[str, str]]


def feeds(reader: Reader, feed_list: FeedList | None = None) -> Iterator[dict]:
    """Yield what the executor is fed, batch by batch.

    Args:
        reader: a `paddle.io.DataLoader` made with a feed list, or anything else whose batches
            are dicts by Variable name; or, like the original's `paddle.batch`, a function that
            returns batches as lists of samples (tuples in the order of `feed_list`).
        feed_list: (label, Variable name) pairs, for a reader of the second kind.
    """
    for batch in reader() if callable(reader) else reader:
        if feed_list is not None:
            columns = zip(*batch, strict=True)
            names = (name for _, name in feed_list)
            yield {name: np.stack(column) for name, column in zip(names, columns, strict=True)}
        else:
            # A static DataLoader yields a dict for each device; there is one device.
            yield batch if isinstance(batch, dict) else batch[0]


def set_epoch(reader: Reader, epoch: int) -> None:
    """Tell a shuffling reader which epoch this is, so that a resumed run sees the same batches."""
    sampler = getattr(reader, "batch_sampler", None)
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch)


def check_shareable(reader: Reader, workers: int) -> dict[str, int | str]:
    """See that several workers can share the batches of a reader.

    Returns:
        What must be equal in all of them, by name.

    Raises:
        ValueError: they can't, or not so many.
    """
    sampler = getattr(reader, "batch_sampler", None)
    if not hasattr(sampler, "sizes"):
        raise ValueError(
            f"{workers} workers cannot share the train reader: make it with make_loader, or give "
            "its batch_sampler what SeededBatches has (both in ssd_model.data.loader)"
        )
    if sampler.count < workers:
        raise ValueError(f"{workers} workers cannot share {sampler.count} image(s) to train on")
    if sampler.batch_size % workers:
        raise ValueError(
            f"{workers} workers cannot share a batch of {sampler.batch_size} images equally: "
            f"choose a batch size that {workers} divides"
        )
    order = {name: str(getattr(sampler, name, None)) for name in ("shuffle", "seed")}
    return {"images to train on": sampler.count, "batch size": sampler.batch_size, **order}


def sample(reader: Reader, eval_rate: float, feed_list: FeedList | None = None) -> list[dict]:
    """Take a share of a reader's batches, spread evenly, and keep it in memory for evaluations.

    Args:
        eval_rate: share in (0, 1]; at least one batch is taken.
    """
    taken: list[dict] = []
    for i, feed in enumerate(feeds(reader, feed_list)):
        if i == 0 or int((i + 1) * eval_rate) > len(taken):
            taken.append({name: np.array(value) for name, value in feed.items()})
    return taken


def first_batches(
    reader: Reader, feed_list: FeedList | None, images: int
) -> list[dict[str, np.ndarray]]:
    """Take the first batches of a reader's first epoch, and keep them in memory.

    Args:
        images: how many images are wanted; batches are taken until there are this many.
    """
    set_epoch(reader, 0)
    batches: list[dict[str, np.ndarray]] = []
    count = 0
    for feed in feeds(reader, feed_list):
        batches.append({name: np.array(value) for name, value in feed.items()})
        count += len(next(iter(batches[-1].values())))
        if count >= images:
            break
    return batches
