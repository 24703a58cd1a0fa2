"""Draw images at random: those of a limited run, and those to test on if no list names them."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ssd_model.data.annotation import Annotation

TEST_SHARE = 0.2
"""Share of the images to test on, if the folder does not say which ones."""


def draw_sample(
    items: Sequence[Any],
    classes: Sequence[Collection[str]],
    limit: int | None,
    seed: int | Sequence[int],
) -> list:
    """Return `limit` items drawn at random, in their own order; all items if there are fewer.

    Lists are often sorted by class, so the first items would not do. Classes are added to the
    sample, the rarest first, while there is room.

    Args:
        classes: the classes on each item.
    """
    if limit is None or limit >= len(items):
        return list(items)
    order = np.random.default_rng(seed).permutation(len(items)).tolist()
    return [items[i] for i in sorted(_draw(order, classes, limit))]


def draw_test(items: Sequence[Any], classes: Sequence[Collection[str]]) -> tuple[list, list, str]:
    """Split all images if the folder does not; return those for training, for testing, and a note.

    Each class is in both where it can be; what only one image has is rather trained on. The split
    is the same each time, whatever the seed of the run.

    Args:
        classes: the classes on each item.
    """
    order = np.random.default_rng(0).permutation(len(items)).tolist()
    kept = _one_of_each(order[::-1], classes, len(items))
    order.sort(key=kept.__contains__)
    free = [() if i in kept else names for i, names in enumerate(classes)]
    chosen = {*_draw(order, free, round(TEST_SHARE * len(items)))}
    trainval = [item for i, item in enumerate(items) if i not in chosen]
    test = [item for i, item in enumerate(items) if i in chosen]
    told = (
        f"no list says which images to test on: the test set is {len(test):,} of the "
        f"{len(items):,} images, drawn at random; if some are near-duplicates, write your own lists"
    )
    return trainval, test, told


def measured_classes(annotation: Annotation | None) -> set[str]:
    """The classes that have an object that is not difficult and not empty."""
    objects = annotation.objects if annotation else ()
    return {
        found.name
        for found in objects
        if not found.difficult
        and found.corners[0] != found.corners[2]
        and found.corners[1] != found.corners[3]
    }


def _draw(order: list[int], classes: Sequence[Collection[str]], limit: int) -> list[int]:
    """The first of an order, after one of each class."""
    return [*(_one_of_each(order, classes, limit) | dict.fromkeys(order))][:limit]


def _one_of_each(
    order: list[int], classes: Sequence[Collection[str]], limit: int
) -> dict[int, None]:
    """The first in an order with each class, the rarest first, while there is room."""
    counts = Counter(name for i in order for name in set(classes[i]))
    chosen: dict[int, None] = {}
    seen: set[str] = set()
    for name in sorted(counts, key=lambda name: (counts[name], name)):
        if name not in seen and len(chosen) < limit:
            first = next(i for i in order if name in classes[i])
            chosen[first] = None
            seen |= {*classes[first]}
    return chosen
