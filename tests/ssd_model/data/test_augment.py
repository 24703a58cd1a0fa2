"""Augmentation: hand-worked crop and flip, what always holds, and how often each part acts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssd_model.data.augment import FILL, Augmentation, flip

PLAIN = Augmentation(distort_prob=0, expand_prob=0, min_overlaps=(), flip_prob=0)


def plain(**settings_):
    """An augmentation with all parts off but those given."""
    off = {"distort_prob": 0, "expand_prob": 0, "min_overlaps": (), "flip_prob": 0}
    return Augmentation(**{**off, **settings_})


def picture(width=40, height=20):
    """An image whose red and green are the pixel's x and y."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, 0 * x], axis=2).astype(np.uint8))


def truth(*boxes, difficult=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.arange(1, len(boxes) + 1)
    return boxes, labels, np.array(difficult or [False] * len(boxes), bool)


def test_defaults_are_those_of_the_original():
    assert Augmentation() == Augmentation(
        distort_prob=0.5,
        brightness=0.125,
        contrast=0.5,
        saturation=0.5,
        hue=18,
        expand_prob=0.5,
        expand_max=4,
        min_overlaps=(0.1, 0.3, 0.5, 0.7, 0.9, 0),
        trials=50,
        min_scale=0.3,
        max_scale=1,
        min_aspect=0.5,
        max_aspect=2,
        flip_prob=0.5,
    )


def test_nothing_on_changes_nothing():
    image, given_truth = picture(), truth((0.1, 0.2, 0.3, 0.4))
    out, *rest = PLAIN(image, *given_truth, np.random.default_rng(0))
    assert out.tobytes() == image.tobytes()
    for got, want in zip(rest, given_truth, strict=True):
        np.testing.assert_array_equal(got, want)


def test_flip():
    image, boxes = flip(picture(), np.array([[0.1, 0.2, 0.4, 0.5]], np.float32))
    assert image.getpixel((0, 7)) == (39, 7, 0)
    np.testing.assert_allclose(boxes, [[0.6, 0.2, 0.9, 0.5]], rtol=1e-6)


def test_flip_twice_is_the_image():
    image, boxes = picture(), np.array([[0.125, 0.2, 0.5, 0.5]], np.float32)
    twice, boxes_twice = flip(*flip(image, boxes))
    assert twice.tobytes() == image.tobytes()
    np.testing.assert_array_equal(boxes_twice, boxes)


class Fixed(np.random.Generator):
    """A generator whose uniform draws are taken from a list, and integers are the highest."""

    def __init__(self, *draws):
        super().__init__(np.random.PCG64(0))
        self.draws = list(draws)

    def uniform(self, low=0, high=1, size=None):
        return np.broadcast_to(np.array(self.draws.pop(0), float), size or ())

    def integers(self, low, high=None):
        return (low if high is None else np.asarray(high)) - 1


def test_hand_worked_crop():
    """A crop at half the scale, aspect 1, from (0.25, 0.25) to (0.75, 0.75) of 40x20 pixels."""
    crop = plain(min_overlaps=(0.0,), trials=1)
    boxes = truth(
        (0.0, 0.0, 0.4, 0.4),  # centre 0.2, 0.2 is outside: goes
        (0.0, 0.5, 0.6, 1.0),  # centre 0.3, 0.75 is on the border: stays, is cut
        (0.5, 0.5, 0.625, 0.75),  # inside
        difficult=[False, True, False],
    )
    # scale, aspect, and the start as a part of the 0.5 that is free
    rng = Fixed(0.5, 1, [0.5, 0.5])
    image, boxes, labels, difficult = crop(picture(), *boxes, rng)
    assert image.size == (20, 10)
    assert image.getpixel((0, 0)) == (10, 5, 0)
    np.testing.assert_allclose(boxes, [[0, 0.5, 0.7, 1], [0.5, 0.5, 0.75, 1]], rtol=1e-6)
    assert labels.tolist() == [2, 3]
    assert difficult.tolist() == [True, False]


def test_hand_worked_expand():
    """Twice the sides, the image in the lower right corner."""
    expand = plain(expand_prob=1)
    image, boxes, *_ = expand(picture(), *truth((0.1, 0.2, 0.3, 0.4)), Fixed(2))
    assert image.size == (80, 40)
    assert image.getpixel((0, 0)) == image.getpixel((39, 39)) == FILL
    assert image.getpixel((45, 27)) == (5, 7, 0)
    np.testing.assert_allclose(boxes, [[0.55, 0.6, 0.65, 0.7]], rtol=1e-6)


def test_a_crop_overlaps_a_box_enough():
    crop = plain(min_overlaps=(0.7,))
    box = truth((0.2, 0.2, 0.8, 0.8))
    sizes = set()
    for seed in range(50):
        image, boxes, *_ = crop(picture(400, 200), *box, np.random.default_rng(seed))
        if image.size == (400, 200):
            continue
        sizes.add(image.size)
        crop_area = image.width * image.height / 80_000
        x0, y0, x1, y1 = boxes[0]
        shared = (x1 - x0) * (y1 - y0) * crop_area
        assert shared / (crop_area + 0.36 - shared) >= 0.7 - 1e-5
        # within the scale; 1.01 for whole pixels
        assert crop_area * 1.01 >= 0.3**2
    assert len(sizes) > 10


def test_crops_keep_their_scale_and_aspect():
    crops = Augmentation()._draw_crops(np.array([0, 0, 1000, 1000]), 5000, np.random.default_rng(0))
    sides = (crops[:, 2:] - crops[:, :2]) / 1000
    assert crops.min() >= 0
    assert crops.max() <= 1000
    scale, aspect = np.sqrt(sides.prod(axis=1)), sides[:, 0] / sides[:, 1]
    assert 0.299 < scale.min() < 0.31
    assert 0.99 < scale.max() <= 1
    assert 0.49 < aspect.min() < 0.51
    assert 1.97 < aspect.max() < 2.02


def test_a_crop_that_loses_all_boxes_is_not_used():
    crop = plain(min_overlaps=(0.0,), trials=1, max_scale=0.4)
    box = truth((0.0, 0.0, 0.02, 0.02))
    for seed in range(20):
        _, boxes, *_ = crop(picture(), *box, np.random.default_rng(seed))
        assert len(boxes) == 1


def test_expand_does_not_lose_all_boxes():
    expand = plain(expand_prob=1, min_side=0.01)
    box = truth((0.5, 0.5, 0.51, 0.51))
    image, boxes, *_ = expand(picture(), *box, Fixed(3))
    assert image.size == (40, 20)
    np.testing.assert_array_equal(boxes, box[0])


def test_an_image_without_boxes_is_expanded_not_cropped():
    sizes = set()
    for seed in range(20):
        image, *rest = Augmentation()(picture(), *truth(), np.random.default_rng(seed))
        assert [len(part) for part in rest] == [0, 0, 0]
        assert rest[0].shape == (0, 4)
        assert image.width >= 40
        sizes.add(image.size)
    assert len(sizes) > 1


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_distortion_acts_alone(name):
    off = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
    image = Image.new("RGB", (8, 8), (60, 120, 180))
    image.paste((200, 40, 90), (0, 0, 4, 8))

    def change(amount):
        step = plain(distort_prob=1, **{**off, name: amount})
        views = [step(image, *truth(), np.random.default_rng(seed))[0] for seed in range(10)]
        return max(np.abs(np.asarray(view, int) - np.asarray(image, int)).max() for view in views)

    assert change(0) <= 3  # HSV rounds
    assert change(getattr(Augmentation(), name)) > 8


def test_a_hue_turn_of_a_third():
    red = Image.new("RGB", (1, 1), (255, 0, 0))

    class Third(np.random.Generator):
        def uniform(self, low=0, high=1, size=None):
            return 256 / 3 if high == 85 else 0.0

    step = plain(distort_prob=1, brightness=0, contrast=0, saturation=0, hue=85)
    image = step(red, *truth(), Third(np.random.PCG64(0)))[0]
    assert image.getpixel((0, 0)) == pytest.approx((0, 255, 0), abs=3)


def test_how_often_each_part_acts():
    """Half are flipped; half expanded; a crop or the whole window, evenly, of 7."""
    flips = [
        plain(flip_prob=0.5)(picture(2, 1), *truth(), np.random.default_rng(seed))[0]
        for seed in range(1000)
    ]
    assert 430 < sum(image.getpixel((0, 0))[0] for image in flips) < 570
    box = truth((0.1, 0.1, 0.9, 0.9))
    cropped = [
        plain(min_overlaps=Augmentation.min_overlaps)(picture(), *box, np.random.default_rng(seed))
        for seed in range(500)
    ]
    whole = sum(image.size == (40, 20) for image, *_ in cropped) / 500
    assert 0.09 < whole < 0.26  # 1/7, and some crops that round to the whole


@st.composite
def boxes_of_any_size(draw):
    def side():
        low = draw(st.floats(0, 0.98))
        return low, draw(st.floats(low + 0.01, 1))

    return [(x0, y0, x1, y1) for _ in range(draw(st.integers(0, 5)))
            for (x0, x1), (y0, y1) in [(side(), side())]]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    boxes=boxes_of_any_size(),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 2**32),
)
def test_what_always_holds(boxes, size, seed):
    image, given_truth = picture(*size), truth(*boxes)
    before = [part.copy() for part in given_truth]
    results = [
        Augmentation()(image, *given_truth, np.random.default_rng([seed, 1])) for _ in range(2)
    ]
    out, got, labels, difficult = results[0]
    assert out.mode == "RGB"
    assert got.dtype == np.float32
    assert got.shape == (len(labels), 4)
    assert len(labels) == len(difficult)
    assert bool(boxes) == bool(len(labels))
    assert ((got >= 0) & (got <= 1)).all()
    assert (got[:, 2:] - got[:, :2] >= 0.9e-3).all()
    assert labels.tolist() == sorted(set(labels.tolist()) & set(given_truth[1].tolist()))
    assert out.tobytes() == results[1][0].tobytes()
    for first, second in zip(results[0][1:], results[1][1:], strict=True):
        np.testing.assert_array_equal(first, second)
    for part, copy in zip(given_truth, before, strict=True):
        np.testing.assert_array_equal(part, copy)
