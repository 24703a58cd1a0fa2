"""Preprocessing, seeded batches, padding, and feeding a static Program."""

import cloudpickle
import numpy as np
import paddle
import pytest
from PIL import Image

from ssd_model.data.augment import Augmentation
from ssd_model.data.faults import DataError
from ssd_model.data.folder import read_data
from ssd_model.data.loader import (
    FEED_NAMES,
    MARGIN,
    DetectionDataset,
    SeededBatches,
    collate,
    make_loader,
    preprocess,
)
from tests.helpers.voc_folder import CAT, add_image, annotation_xml, make_voc, object_xml

SIZE = 32


@pytest.fixture
def split(tmp_path):
    """Five images, of which `b` has no object and `c` has three."""
    voc = make_voc(tmp_path, "abcde", ["f"])
    (voc / "Annotations/b.xml").write_text(annotation_xml())
    (voc / "Annotations/c.xml").write_text(
        annotation_xml(
            object_xml(*CAT),
            object_xml("cat", 1, 1, 9, 9),
            object_xml("cat", 9, 9, 20, 20, difficult=1),
        )
    )
    for level, name in enumerate("abcde"):
        color = (40 * level, 10, 20)
        add_image(voc, "x", color=color).rename(voc / f"JPEGImages/{name}.jpg")
    return read_data(voc, "trainval")


@pytest.fixture
def feeds(program):
    return [
        paddle.static.data("image", [-1, 3, SIZE, SIZE], "float32"),
        paddle.static.data("gt_box", [-1, -1, 4], "float32"),
        paddle.static.data("gt_label", [-1, -1], "int32"),
        paddle.static.data("gt_difficult", [-1, -1], "int32"),
    ]


def load(split, feeds, batch_size=2, **options):
    return make_loader(split, feeds, batch_size, image_size=SIZE, **options)


def arrays(loader):
    """All batches of a pass, as lists of arrays."""
    return [[np.array(batch[0][name]) for name in FEED_NAMES] for batch in loader]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for got, want in zip(one, other, strict=True):
            np.testing.assert_array_equal(got, want)


# Images


def test_preprocess_of_one_colour():
    out = preprocess(Image.new("RGB", (50, 20), (255, 0, 100)))
    assert (out.shape, out.dtype) == ((3, 300, 300), np.float32)
    assert out.flags["C_CONTIGUOUS"]
    # blue, green, red: (100 - 127.5), (0 - 127.5), (255 - 127.5), each * 0.007843
    np.testing.assert_allclose(out[:, 7, 9], [-0.2156825, -0.9999825, 0.9999825], rtol=1e-6)


def test_preprocess_keeps_places():
    image = Image.new("RGB", (4, 4))
    image.putpixel((3, 1), (0, 0, 255))
    blue = preprocess(image, 4)[0]
    assert np.unravel_index(blue.argmax(), blue.shape) == (1, 3)


# Items and order


def test_items_depend_on_seed_epoch_and_index_only(split):
    def items(order, seed=0):
        dataset = DetectionDataset(split, Augmentation(), seed=seed, image_size=SIZE)
        return {key: dataset[key] for key in order}

    keys = [(epoch, index) for epoch in range(2) for index in range(5)]
    forward, backward = items(keys), items(keys[::-1])
    assert_same([forward[key] for key in keys], [backward[key] for key in keys])
    assert not np.array_equal(forward[0, 0][0], forward[1, 0][0])
    assert not np.array_equal(forward[0, 0][0], items(keys, seed=1)[0, 0][0])


def test_augmentation_sees_no_giant(split):
    seen = []

    def look(image, *truth_and_rng):
        seen.append(image.size)
        return image, *truth_and_rng[:3]

    Image.new("RGB", (4000, 2000)).save(split.records[0].image)
    for index in range(2):
        DetectionDataset(split, look, image_size=60)[index]
    assert seen == [(MARGIN * 60, MARGIN * 30), (100, 50)]


def test_a_plain_index_is_epoch_0(split):
    dataset = DetectionDataset(split, Augmentation(), image_size=SIZE)
    assert len(dataset) == 5
    assert_same([dataset[2]], [dataset[0, 2]])


def order(dataset, epoch=0, **options):
    batches = SeededBatches(dataset, 2, **options)
    batches.set_epoch(epoch)
    assert len(batches) == len(list(batches))
    return list(batches)


def test_batches_in_order(split):
    dataset = DetectionDataset(split)
    assert order(dataset, 3) == [[(3, 0), (3, 1)], [(3, 2), (3, 3)], [(3, 4)]]


def test_shuffling_depends_on_seed_and_epoch(split):
    dataset = DetectionDataset(split)

    def indices(epoch, seed=0):
        pairs = sum(order(dataset, epoch, shuffle=True, seed=seed), [])  # noqa: RUF017
        return [index for _, index in pairs]

    assert indices(1) == indices(1)
    assert all(sorted(indices(epoch)) == [0, 1, 2, 3, 4] for epoch in range(5))
    assert len({tuple(indices(epoch)) for epoch in range(5)}) > 1
    assert len({tuple(indices(1, seed)) for seed in range(5)}) > 1


def test_set_epoch_leaves_a_begun_pass_alone(split):
    batches = SeededBatches(DetectionDataset(split), 2)
    begun = iter(batches)
    batches.set_epoch(7)
    assert next(begun) == [(0, 0), (0, 1)]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("images", [3, 6, 7, 8])
def test_workers_share_every_batch(images, workers):
    alone = SeededBatches(range(images), 6, shuffle=True, seed=1)
    shared = [SeededBatches(range(images), 6, shuffle=True, seed=1) for _ in range(workers)]
    orders = []
    for epoch in range(3):
        alone.set_epoch(epoch)
        for worker, batches in enumerate(shared):
            batches.set_epoch(epoch, worker, workers)
        sizes = [batches.sizes() for batches in shared]
        passes = [list(batches) for batches in shared]
        for i, whole in enumerate(alone):
            counted = [passes[w][i][: sizes[w][i][0]] for w in range(workers)]
            assert sorted(sum(counted, [])) == sorted(whole)  # noqa: RUF017  nothing twice
            assert {sizes[w][i][1] for w in range(workers)} == {len(whole)}
            assert all(passes[w][i] for w in range(workers))  # each has something to run on
        assert all(len(batches) == i + 1 for batches in passes)
        orders.append(passes[0])
    assert orders[0] != orders[1]
    shared[-1].set_epoch(0)
    alone.set_epoch(0)
    assert list(shared[-1]) == list(alone)


# Batches


def test_collate_pads(split):
    dataset = DetectionDataset(split, image_size=SIZE)
    image, box, label, difficult = collate([dataset[1], dataset[2], dataset[0]])
    assert (image.shape, image.dtype) == ((3, 3, SIZE, SIZE), np.float32)
    assert (box.shape, box.dtype) == ((3, 3, 4), np.float32)
    assert (label.dtype, difficult.dtype) == (np.int32, np.int32)
    assert label.tolist() == [[-1, -1, -1], [1, 1, 1], [1, -1, -1]]
    assert difficult.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_array_equal(box[2, 0], split.records[0].boxes[0])
    assert not box[0].any()
    assert not box[2, 1:].any()


def test_collate_of_one_image_without_ground_truth(split):
    image, box, label, difficult = collate([DetectionDataset(split, image_size=SIZE)[1]])
    assert (image.shape, box.shape) == ((1, 3, SIZE, SIZE), (1, 1, 4))
    assert (label.tolist(), difficult.tolist()) == ([[-1]], [[0]])


def test_batches_reach_the_program(split, feeds, run):
    dataset = DetectionDataset(split, image_size=SIZE)
    fetches = [paddle.scale(feed, 1.0) for feed in feeds]
    loader = load(split, feeds)
    assert len(loader) == 3
    got = [run(batch, fetches) for batch in loader]
    want = [collate([dataset[i] for i in rows]) for rows in ([0, 1], [2, 3], [4])]
    assert [len(batch[0]) for batch in got] == [2, 2, 1]
    assert_same(got, want)


def test_batches_of_one(split, feeds):
    assert [batch[2].tolist() for batch in arrays(load(split, feeds, 1))][:3] == [
        [[1]],
        [[-1]],
        [[1, 1, 1]],
    ]


def test_epochs_of_a_loader(split, feeds):
    def passes(loader, *epochs):
        batches = []
        for epoch in epochs:
            loader.batch_sampler.set_epoch(epoch)
            batches.append(arrays(loader))
        return batches

    options = {"augmentation": Augmentation(), "shuffle": True, "seed": 4}
    zero, one = passes(load(split, feeds, **options), 0, 1)
    (again,) = passes(load(split, feeds, **options), 1)
    assert_same(one, again)
    assert not np.array_equal(zero[0][0], one[0][0])


def test_a_loader_travels_to_another_process(split, feeds):
    loader = load(split, feeds, shuffle=True, augmentation=Augmentation(), seed=3)
    copy = cloudpickle.loads(cloudpickle.dumps(loader))
    for each in (loader, copy):
        each.batch_sampler.set_epoch(2)
    assert_same(arrays(loader), arrays(copy))


def test_a_broken_image_ends_the_pass_with_its_name(split, feeds):
    path = split.records[2].image
    content = path.read_bytes()
    path.unlink()
    loader = load(split, feeds)
    for _ in range(2):
        batches = iter(loader)
        next(batches)
        with pytest.raises(DataError, match=r"c\.jpg: no such image file"):
            next(batches)
    path.write_bytes(content)
    assert len(arrays(loader)) == 3


def test_a_loader_can_be_left_early(split, feeds):
    loader = load(split, feeds, 1)
    for _ in loader:
        break
    assert len(arrays(loader)) == 5


def test_the_feed_list_must_fit(split, feeds):
    with pytest.raises(ValueError, match="feed_list"):
        make_loader(split, feeds[::-1], 2)
