"""Large photographs are decoded once, within a bound of memory."""

import numpy as np
import pytest
from PIL import Image

from ssd_model.data import kept, loader
from ssd_model.data.augment import Augmentation
from ssd_model.data.faults import DataError
from ssd_model.data.folder import read_data
from ssd_model.data.kept import KeptImages
from ssd_model.data.loader import DetectionDataset, preprocess
from ssd_model.data.records import Record
from tests.helpers.photographs import photograph
from tests.helpers.voc_folder import CAT, annotation_xml, make_voc, object_xml

LARGE = (1600, 1200)


@pytest.fixture
def split(tmp_path):
    """`a` is large, `b` small."""
    voc = make_voc(tmp_path / "voc")
    photograph(0, size=LARGE).save(voc / "JPEGImages/a.jpg", quality=90)
    (voc / "Annotations/a.xml").write_text(annotation_xml(object_xml(*CAT), size=LARGE))
    return read_data(voc, "trainval")


@pytest.fixture
def opened(monkeypatch):
    """The images that were opened, each time."""
    monkeypatch.setattr(loader, "KEPT", KeptImages())
    names, open_ = [], Record.open

    def listen(record, *arguments):
        names.append(record.image.name)
        return open_(record, *arguments)

    monkeypatch.setattr(Record, "open", listen)
    return names


def test_a_large_photograph_is_decoded_once_for_each_use(split, opened):
    train = DetectionDataset(split, Augmentation(), image_size=64)
    evaluate = DetectionDataset(split, image_size=64)
    for epoch in range(3):
        for index in range(2):
            train[epoch, index], evaluate[epoch, index]
    assert opened.count("a.jpg") == 2
    assert opened.count("b.jpg") == 6


def test_evaluation_sees_the_very_same_pixels(split, opened):
    dataset = DetectionDataset(split, image_size=300)
    for _ in range(2):
        for index, record in enumerate(split.records):
            np.testing.assert_array_equal(dataset[index][0], preprocess(record.open()))


def test_training_sees_the_same_with_and_without_room(split, opened, monkeypatch):
    def items():
        dataset = DetectionDataset(split, Augmentation(), image_size=64)
        return [dataset[epoch, index][0] for epoch in range(3) for index in range(2)]

    roomy = items() + items()
    monkeypatch.setattr(loader, "KEPT", KeptImages(limit=0))
    opened.clear()
    np.testing.assert_array_equal(roomy, items() + items())
    assert opened.count("a.jpg") == 6


def test_small_images_are_augmented_as_they_are(split, opened):
    seen = []

    def look(image, *truth_and_rng):
        seen.append(image)
        return image, *truth_and_rng[:3]

    DetectionDataset(split, look, image_size=64)[1]
    assert seen[0].tobytes() == split.records[1].open().tobytes()
    DetectionDataset(split, look, image_size=64)[0]  # at most twice the size that is trained on
    assert seen[1].size == (128, 96)


def test_memory_is_bounded(split):
    copies = KeptImages(limit=20_000)
    record = split.records[0]
    for size in range(10):
        image = copies.get(record, size, lambda: Image.new("RGB", (50, 40)))
        assert image.size == (50, 40)
    assert copies.bytes == 3 * 6000
    assert copies.get(record, 10, lambda: Image.new("L", (50, 40))).mode == "L"
    assert copies.bytes == 20_000


def test_a_file_that_changes_is_read_again(split, opened):
    dataset = DetectionDataset(split, image_size=32)
    before = dataset[0][0]
    photograph(5, size=LARGE).save(split.records[0].image, quality=80)
    assert not np.array_equal(dataset[0][0], before)
    split.records[0].image.unlink()
    with pytest.raises(DataError, match=r"a\.jpg: no such image file"):
        dataset[0]


def test_the_bound_is_a_gigabyte():
    assert kept.KEPT.limit == 2**30
