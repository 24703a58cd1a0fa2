"""The order in which channels go, against trying everything and refitting from scratch."""

import numpy as np
import pytest

from pruning.elimination import ReadingLayer, eliminate

CHANNELS = 8


@pytest.fixture(autouse=True)
def no_ridge(monkeypatch):
    monkeypatch.setattr("pruning.elimination.RIDGE", 0)


def readers(block, count=2, seed=0):
    rng = np.random.default_rng(seed)
    size = CHANNELS * block
    made = []
    for outputs in range(3, 3 + count):
        inputs = rng.normal(size=(6 * size, size)) @ rng.normal(size=(size, size))
        made.append(ReadingLayer(inputs.T @ inputs / len(inputs), rng.normal(size=(size, outputs))))
    return made


def error(readers, kept):
    """What is left of the outputs' square when each reader is refitted on some channels."""
    total = 0.0
    for reader in readers:
        block = len(reader.gram) // CHANNELS
        at = np.concatenate([np.arange(c * block, (c + 1) * block) for c in kept])
        gram, weight = reader.gram, reader.weight
        refitted = np.zeros_like(weight)
        refitted[at] = np.linalg.solve(gram[np.ix_(at, at)], gram[at] @ weight)
        missing = weight - refitted
        total += np.trace(missing.T @ gram @ missing) / np.trace(weight.T @ gram @ weight)
    return total


def brute_force(readers):
    left, order, errors = list(range(CHANNELS)), [], [0.0]
    while len(left) > 1:
        gone = min(left, key=lambda c: error(readers, [other for other in left if other != c]))
        left.remove(gone)
        order.append(gone)
        errors.append(error(readers, left))
    return [*order, *left], errors


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("compact", [0.0, 0.8])
def test_as_trying_every_channel(block, seed, compact, monkeypatch):
    """Also, since errors agree to the last step, updated inverses equal fresh ones."""
    monkeypatch.setattr("pruning.elimination.COMPACT", compact)
    given = readers(block, seed=seed)
    found = eliminate(given, CHANNELS)
    order, errors = brute_force(given)
    assert found.order.tolist() == order
    np.testing.assert_allclose(found.errors, errors, rtol=1e-6, atol=1e-12)


def test_what_another_channel_can_say_goes_first():
    """Channel 5 is the sum of 1 and 2: the three hold what two can say."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(500, CHANNELS))
    inputs[:, 5] = inputs[:, 1] + inputs[:, 2]
    gram = inputs.T @ inputs / 500 + 1e-9 * np.eye(CHANNELS)
    found = eliminate([ReadingLayer(gram, rng.normal(size=(CHANNELS, 4)))], CHANNELS)
    assert found.order[0] in (1, 2, 5)
    assert found.errors[1] < 1e-6 < found.errors[2]


def test_importance_is_the_place_in_the_order():
    found = eliminate(readers(1), CHANNELS)
    assert np.argsort(found.importance).tolist() == found.order.tolist()
    assert sorted(found.order) == list(range(CHANNELS))


def test_what_nobody_reads_costs_nothing():
    (reader,) = readers(1, count=1)
    reader.weight[:] = 0
    found = eliminate([reader], CHANNELS)
    assert sorted(found.order) == list(range(CHANNELS)) and not found.errors.any()
