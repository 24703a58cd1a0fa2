"""Reading VOC folders: records, image sets, classes."""

import numpy as np
import pytest
from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.voc_folder import (
    CAT,
    HEIGHT,
    WIDTH,
    add_image,
    annotation_xml,
    object_xml,
    only_fault,
    write_set,
    write_xml,
)

# Records


def test_record(voc):
    write_xml(voc, object_xml("dog", 10, 5, 60, 45, difficult=1), object_xml("cat", 0, 0, 50, 50))
    split = read_data(voc, "trainval")
    record = split.records[0]
    assert (split.name, split.classes) == ("trainval", ("cat", "dog"))
    assert (record.image, record.width, record.height) == (voc / "JPEGImages/a.jpg", 100, 50)
    expected = np.array([[0.1, 0.1, 0.6, 0.9], [0, 0, 0.5, 1]], np.float32)
    np.testing.assert_array_equal(record.boxes, expected)
    assert (record.boxes.dtype, record.labels.dtype) == (np.float32, np.int64)
    assert record.labels.tolist() == [2, 1]
    assert record.difficult.tolist() == [True, False]
    assert record.difficult.dtype == bool


def test_an_image_without_objects_is_background(voc):
    write_xml(voc)
    record = read_data(voc, "trainval").records[0]
    assert (record.boxes.shape, record.labels.shape, record.difficult.shape) == ((0, 4), (0,), (0,))
    assert find_faults(voc) == []


def test_float_corners_and_no_difficult(voc):
    write_xml(voc, object_xml("cat", "12.0", "12.5", " 50 ", "25", difficult=None))
    record = read_data(voc, "trainval").records[0]
    np.testing.assert_allclose(record.boxes, [[0.12, 0.25, 0.5, 0.5]], rtol=1e-6)
    assert record.difficult.tolist() == [False]


def test_boxes_are_clipped_to_the_image(voc):
    write_xml(voc, object_xml("cat", -5, 0, 101, 50.5))
    assert read_data(voc, "trainval").records[0].boxes.tolist() == [[0, 0, 1, 1]]


def test_parts_are_not_objects(voc):
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    write_xml(voc, object_xml(*CAT, extra=part))
    split = read_data(voc, "trainval")
    assert split.classes == ("cat",)
    assert len(split.records[0].labels) == 1


@pytest.mark.parametrize("size", [None, (0, 0), ("", ""), (WIDTH, 0), ("100.0", 50), (-1, -1)])
def test_the_size_may_be_missing(voc, size):
    write_xml(voc, object_xml(*CAT), size=size)
    assert read_data(voc, "trainval").records[0].width == WIDTH


@pytest.mark.parametrize(
    ("word", "expected"), [("True", True), ("false", False), ("Unspecified", False)]
)
def test_difficult_in_words(voc, word, expected):
    write_xml(voc, object_xml(*CAT, difficult=word))
    assert read_data(voc, "trainval").records[0].difficult.tolist() == [expected]


def test_a_name_may_have_spaces(voc):
    add_image(voc, "my photo 7", object_xml(*CAT))
    write_set(voc, "trainval", ["my photo 7", "a  -1"])
    names = [record.image.name for record in read_data(voc, "trainval").records]
    assert names == ["my photo 7.jpg", "a.jpg"]


def test_a_test_split_without_objects_is_a_fault(voc):
    for path in (voc / "Annotations").glob("*.xml"):
        if path.stem in (voc / "ImageSets/Main/test.txt").read_text().split():
            path.write_text(annotation_xml())
    with pytest.raises(DataError, match="of test has an object"):
        read_data(voc, "test")


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".PNG", ".bmp", ".webp"])
def test_image_suffixes(voc, suffix):
    (voc / "JPEGImages/a.jpg").unlink()
    path = add_image(voc, "a", object_xml(*CAT), suffix=suffix)
    assert read_data(voc, "trainval").records[0].image == path


def test_a_grey_or_cmyk_image_is_no_fault(voc):
    Image.new("L", (WIDTH, HEIGHT)).save(voc / "JPEGImages/a.jpg")
    Image.new("CMYK", (WIDTH, HEIGHT)).save(voc / "JPEGImages/b.jpg")
    assert find_faults(voc) == []


def test_a_tiny_image_is_no_fault(voc):
    add_image(voc, "a", object_xml("cat", 0, 0, 1, 1), size=(1, 1))
    assert read_data(voc, "trainval").records[0].boxes.tolist() == [[0, 0, 1, 1]]


# Image sets and limit


def test_image_set_lines(voc):
    (voc / "ImageSets/Main/trainval.txt").write_bytes(
        b"\xef\xbb\xbfb  1\r\n\r\n  \r\na -1\r\nb 0\r\n"
    )
    records = read_data(voc, "trainval").records
    assert [record.image.stem for record in records] == ["b", "a"]


def test_ids_in_a_subfolder(voc):
    path = add_image(voc, "day1/a", object_xml(*CAT))
    write_set(voc, "trainval", ["day1/a"])
    assert [record.image for record in read_data(voc, "trainval").records] == [path]


def test_limit_keeps_all_classes(voc):
    (voc / "Annotations/c.xml").write_text(annotation_xml(object_xml("zebra", 1, 1, 9, 9)))
    split = read_data(voc, "trainval", limit=1)
    assert len(split.records) == 1
    assert split.classes == ("cat", "zebra")


def test_limit_leaves_faults_elsewhere_alone(voc):
    (voc / "JPEGImages/b.jpg").unlink()
    # Without a whole object it is the last to be drawn.
    (voc / "Annotations/b.xml").write_text(annotation_xml(object_xml("dog")))
    split = read_data(voc, "trainval", limit=1)
    assert [record.image.stem for record in split.records] == ["a"]
    assert split.classes == ("cat", "dog")


def test_wrong_arguments(voc):
    with pytest.raises(ValueError, match="split is 'val'"):
        read_data(voc, "val")
    with pytest.raises(ValueError, match="limit is 0"):
        read_data(voc, "trainval", limit=0)


# Classes


def test_label_list_gives_the_order(voc):
    (voc / "label_list").write_bytes(b"\xef\xbb\xbfbackground\r\nzebra\r\n\r\ncat\r\n")
    split = read_data(voc, "trainval")
    assert split.classes == ("zebra", "cat")
    assert split.records[0].labels.tolist() == [2]


def test_label_list_without_background(voc):
    (voc / "label_list").write_text("cat\n")
    assert read_data(voc, "test").records[0].labels.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat\ndog\ncat\n", ["'cat'", "2 times"]),
        ("cat\nbackground\n", ["'background'"]),
        ("background\n", ["no class"]),
    ],
)
def test_label_list_faults(voc, text, words):
    (voc / "label_list").write_text(text)
    faults = [fault for fault in find_faults(voc) if fault.path == voc / "label_list"]
    assert len(faults) == 1
    for word in words:
        assert word in faults[0].what


def test_label_list_in_another_encoding(voc):
    (voc / "label_list").write_bytes("cat\nétoile\n".encode("latin-1"))
    assert any(f.path.name == "label_list" and "UTF-8" in f.what for f in find_faults(voc))


def test_unknown_class(voc):
    (voc / "label_list").write_text("cat\n")
    write_xml(voc, object_xml(*CAT), object_xml("Cat", 1, 1, 9, 9))
    only_fault(voc, "a.xml", "object 2 (Cat)", "label_list")


def test_an_object_named_background(voc):
    write_xml(voc, object_xml("background", 1, 1, 9, 9))
    only_fault(voc, "a.xml", "'background'")
