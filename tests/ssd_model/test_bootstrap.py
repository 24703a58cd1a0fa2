"""The range that chance in the test images leaves: against scipy, and worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ssd_model.average_precision import VOC_2007, AveragePrecision
from ssd_model.bootstrap import map_difference_range, map_of
from ssd_model.data.records import Record

BOX = [0.1, 0.1, 0.5, 0.5]
NOTHING = np.empty((0, 6))


def record(labels=(1,), difficult=None):
    boxes = np.tile(np.float32(BOX), (len(labels), 1)) + 0.1 * np.arange(len(labels))[:, None]
    flags = np.zeros(len(labels), bool) if difficult is None else np.array(difficult)
    return Record(Path("a.jpg"), 100, 100, boxes, np.array(labels, int), flags)


@pytest.fixture
def photographs():
    """Twelve records of two classes, one without objects, and what two networks find in them."""
    rng = np.random.default_rng(0)
    records = [record(rng.integers(1, 3, rng.integers(1, 4)).tolist()) for _ in range(11)]
    records += [record([])]
    networks = []
    for noise in (0.02, 0.06):
        found = []
        for each in records:
            boxes = each.boxes + rng.normal(0, noise, each.boxes.shape)
            labels = np.where(rng.uniform(size=len(boxes)) < 0.2, 3, each.labels)
            found.append(np.column_stack([labels, rng.uniform(size=len(boxes)), boxes]))
        networks.append(found)
    return records, *networks


@pytest.mark.parametrize("version", ["11point", "integral"])
def test_an_image_that_counts_twice_is_one_that_comes_twice(photographs, version, monkeypatch):
    monkeypatch.setitem(VOC_2007, "ap_version", version)
    records, found, _ = photographs
    times = np.array([2, 0, 1, 3, 0, 1, 1, 0, 2, 1, 1, 0])
    repeated = np.repeat(np.arange(len(records)), times)
    expected = map_of([found[i] for i in repeated], [records[i] for i in repeated])
    metric = map_of(found, records)
    np.testing.assert_array_equal(metric.ap_by_class(times), expected.ap_by_class())
    assert metric.value(times) == expected.value() != metric.value()
    assert metric.value(np.ones(len(records), int)) == metric.value()


def test_merged_sets_keep_their_images_apart(photographs):
    records, found, _ = photographs
    both, rest = map_of(found[:5], records[:5]), map_of(found[5:], records[5:])
    both.merge(rest)
    times = np.arange(len(records)) % 3
    assert both.value(times) == map_of(found, records).value(times)


def test_the_range_agrees_with_scipys(photographs):
    records, before, after = photographs

    def difference(chosen: np.ndarray) -> float:
        drawn = [records[i] for i in chosen]
        one, other = AveragePrecision(4, **VOC_2007), AveragePrecision(4, **VOC_2007)
        for metric, found in ((one, before), (other, after)):
            for i, each in zip(chosen, drawn, strict=True):
                truth = np.column_stack([each.labels, each.difficult, each.boxes])
                metric.update(found[i], np.array([len(found[i])]), truth[None])
        return other.value() - one.value()

    expected = stats.bootstrap(
        (np.arange(len(records)),),
        difference,
        n_resamples=1000,
        vectorized=False,
        method="percentile",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    low, high = map_difference_range(before, after, records)
    assert low < high
    # Both are drawn: the bounds of a thousand draws vary by a few hundredths here.
    np.testing.assert_allclose([low, high], expected, atol=0.05)


def test_a_network_that_finds_45_of_100_objects():
    """Drawn again, it finds 35 to 55 of them in 95 of 100 cases, as the binomial distribution says.

    Without a mistake, 35 of 100 reach the recalls 0, 0.1, 0.2, 0.3 and no more: AP is 4 / 11.
    """
    records = [record() for _ in range(100)]
    all_found = [np.array([[1, 0.9, *BOX]])] * 100
    some = [rows if i < 45 else NOTHING for i, rows in enumerate(all_found)]
    assert list(stats.binom.ppf([0.025, 0.975], 100, 0.45)) == [35, 55]
    expected = pytest.approx((4 / 11 - 1, 6 / 11 - 1))
    assert map_difference_range(all_found, some, records) == expected


def test_networks_that_find_the_same_do_not_differ(photographs):
    records, found, _ = photographs
    assert map_difference_range(found, found, records) == (0, 0)


def test_draws_without_an_object_to_find():
    """Difficult objects need not be found, and nothing else is there: both mAPs are 0."""
    records, found = [record(difficult=[True]), record([])], [NOTHING] * 2
    assert map_difference_range(found, found, records) == (0, 0)
