"""Draw the records of a limited run from the whole list."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np


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
    counts = Counter(name for names in classes for name in set(names))
    chosen: dict[int, None] = {}
    seen: set[str] = set()
    for name in sorted(counts, key=lambda name: (counts[name], name)):
        if name not in seen and len(chosen) < limit:
            first = next(i for i in order if name in classes[i])
            chosen[first] = None
            seen |= {*classes[first]}
    for i in order:
        if len(chosen) == limit:
            break
        chosen[i] = None
    return [items[i] for i in sorted(chosen)]
