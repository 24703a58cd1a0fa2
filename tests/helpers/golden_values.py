"""Reads tests/golden/: values computed by the original system (see its README)."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "golden"


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def names(prefix: str) -> list[str]:
    return sorted(path.stem for path in FOLDER.glob(f"{prefix}*.npz"))


def pad(rows: np.ndarray, counts: np.ndarray, fill: float) -> np.ndarray:
    """Stacked rows [K, ...] of several images -> [N, M, ...], `fill` where an image has fewer."""
    padded = np.full((len(counts), max(1, counts.max()), *rows.shape[1:]), fill, rows.dtype)
    for i, part in enumerate(np.split(rows, np.cumsum(counts)[:-1])):
        padded[i, : len(part)] = part
    return padded
