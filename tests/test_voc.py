"""Reading VOC folders: records, classes, folder forms, and every fault by its file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from voc_folder import (
    CAT,
    HEIGHT,
    WIDTH,
    add_image,
    annotation_xml,
    make_voc,
    object_xml,
    write_set,
)

from ssd_model.data import check
from ssd_model.data.voc import DataError, find_faults, read_voc


@pytest.fixture
def voc(tmp_path):
    return make_voc(tmp_path / "voc")


def write_xml(voc, *objects, **size):
    """Replace the annotation of image `a`."""
    (voc / "Annotations/a.xml").write_text(annotation_xml(*objects, **size))


def only_fault(voc, name, *words):
    """Check that the folder has one fault, which names the file and all the words."""
    faults = find_faults(voc)
    assert len(faults) == 1, [str(fault) for fault in faults]
    assert faults[0].path.name == name
    for word in words:
        assert word in faults[0].what
    with pytest.raises(DataError) as caught:
        for split in ("trainval", "test"):
            read_voc(voc, split)
    assert str(faults[0]) in str(caught.value)
    assert "make check-data DATA_DIR=" in str(caught.value)


# Records


def test_record(voc):
    write_xml(voc, object_xml("dog", 10, 5, 60, 45, difficult=1), object_xml("cat", 0, 0, 50, 50))
    split = read_voc(voc, "trainval")
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
    record = read_voc(voc, "trainval").records[0]
    assert (record.boxes.shape, record.labels.shape, record.difficult.shape) == ((0, 4), (0,), (0,))
    assert find_faults(voc) == []


def test_float_corners_and_no_difficult(voc):
    write_xml(voc, object_xml("cat", "12.0", "12.5", " 50 ", "25", difficult=None))
    record = read_voc(voc, "trainval").records[0]
    np.testing.assert_allclose(record.boxes, [[0.12, 0.25, 0.5, 0.5]], rtol=1e-6)
    assert record.difficult.tolist() == [False]


def test_boxes_are_clipped_to_the_image(voc):
    write_xml(voc, object_xml("cat", -5, 0, 101, 50.5))
    assert read_voc(voc, "trainval").records[0].boxes.tolist() == [[0, 0, 1, 1]]


def test_parts_are_not_objects(voc):
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    write_xml(voc, object_xml(*CAT, extra=part))
    split = read_voc(voc, "trainval")
    assert split.classes == ("cat",)
    assert len(split.records[0].labels) == 1


@pytest.mark.parametrize("size", [None, (0, 0), ("", ""), (WIDTH, 0), ("100.0", 50)])
def test_the_size_may_be_missing(voc, size):
    write_xml(voc, object_xml(*CAT), size=size)
    assert read_voc(voc, "trainval").records[0].width == WIDTH


def test_exif_orientation_gives_the_size(voc):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(voc / "JPEGImages/a.jpg", exif=exif)
    record = read_voc(voc, "trainval").records[0]
    assert (record.width, record.height) == (WIDTH, HEIGHT)


def test_an_annotation_of_the_stored_image_keeps_it_so(voc):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (HEIGHT, WIDTH))
    stored.putpixel((0, 0), (255, 255, 255))
    (voc / "JPEGImages/a.jpg").unlink()
    stored.save(voc / "JPEGImages/a.png", exif=exif)
    write_xml(voc, object_xml("cat", 0, 0, 25, 50), size=(HEIGHT, WIDTH))
    record = read_voc(voc, "trainval").records[0]
    assert (record.width, record.height, record.upright) == (HEIGHT, WIDTH, False)
    assert record.boxes.tolist() == [[0, 0, 0.5, 0.5]]
    assert record.open().getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("word", "expected"), [("True", True), ("false", False), ("Unspecified", False)]
)
def test_difficult_in_words(voc, word, expected):
    write_xml(voc, object_xml(*CAT, difficult=word))
    assert read_voc(voc, "trainval").records[0].difficult.tolist() == [expected]


def test_a_name_may_have_spaces(voc):
    add_image(voc, "my photo 7", object_xml(*CAT))
    write_set(voc, "trainval", ["my photo 7", "a  -1"])
    names = [record.image.name for record in read_voc(voc, "trainval").records]
    assert names == ["my photo 7.jpg", "a.jpg"]


def test_a_test_split_without_objects_is_a_fault(voc):
    for path in (voc / "Annotations").glob("*.xml"):
        if path.stem in (voc / "ImageSets/Main/test.txt").read_text().split():
            path.write_text(annotation_xml())
    with pytest.raises(DataError, match="of test has an object"):
        read_voc(voc, "test")


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".PNG", ".bmp"])
def test_image_suffixes(voc, suffix):
    (voc / "JPEGImages/a.jpg").unlink()
    path = add_image(voc, "a", object_xml(*CAT), suffix=suffix)
    assert read_voc(voc, "trainval").records[0].image == path


def test_a_grey_or_cmyk_image_is_no_fault(voc):
    Image.new("L", (WIDTH, HEIGHT)).save(voc / "JPEGImages/a.jpg")
    Image.new("CMYK", (WIDTH, HEIGHT)).save(voc / "JPEGImages/b.jpg")
    assert find_faults(voc) == []


def test_a_tiny_image_is_no_fault(voc):
    add_image(voc, "a", object_xml("cat", 0, 0, 1, 1), size=(1, 1))
    assert read_voc(voc, "trainval").records[0].boxes.tolist() == [[0, 0, 1, 1]]


# Image sets and limit


def test_image_set_lines(voc):
    (voc / "ImageSets/Main/trainval.txt").write_bytes(
        b"\xef\xbb\xbfb  1\r\n\r\n  \r\na -1\r\nb\r\n"
    )
    records = read_voc(voc, "trainval").records
    assert [record.image.stem for record in records] == ["b", "a"]


def test_ids_in_a_subfolder(voc):
    path = add_image(voc, "day1/a", object_xml(*CAT))
    write_set(voc, "trainval", ["day1/a"])
    assert [record.image for record in read_voc(voc, "trainval").records] == [path]


def test_limit_keeps_the_first_ids_and_all_classes(voc):
    (voc / "Annotations/c.xml").write_text(annotation_xml(object_xml("zebra", 1, 1, 9, 9)))
    split = read_voc(voc, "trainval", limit=1)
    assert [record.image.stem for record in split.records] == ["a"]
    assert split.classes == ("cat", "zebra")


def test_limit_leaves_later_faults_alone(voc):
    (voc / "JPEGImages/b.jpg").unlink()
    (voc / "Annotations/b.xml").write_text(annotation_xml(object_xml("dog")))
    assert read_voc(voc, "trainval", limit=1).classes == ("cat", "dog")


def test_wrong_arguments(voc):
    with pytest.raises(ValueError, match="split is 'val'"):
        read_voc(voc, "val")
    with pytest.raises(ValueError, match="limit is 0"):
        read_voc(voc, "trainval", limit=0)


# Classes


def test_label_list_gives_the_order(voc):
    (voc / "label_list").write_bytes(b"\xef\xbb\xbfbackground\r\nzebra\r\n\r\ncat\r\n")
    split = read_voc(voc, "trainval")
    assert split.classes == ("zebra", "cat")
    assert split.records[0].labels.tolist() == [2]


def test_label_list_without_background(voc):
    (voc / "label_list").write_text("cat\n")
    assert read_voc(voc, "test").records[0].labels.tolist() == [1]


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


# Folder forms


@pytest.mark.parametrize("parent", [".", "VOCdevkit"])
def test_both_years(tmp_path, parent):
    make_voc(tmp_path / parent / "VOC2007")
    make_voc(tmp_path / parent / "VOC2012", ["2012_a"], test=None)
    trainval, test = read_voc(tmp_path, "trainval"), read_voc(tmp_path, "test")
    assert [record.image.stem for record in trainval.records] == ["a", "b", "2012_a"]
    assert [record.image.stem for record in test.records] == ["c"]


def test_the_same_id_in_both_years(tmp_path):
    make_voc(tmp_path / "VOC2007")
    make_voc(tmp_path / "VOC2012")
    assert len(read_voc(tmp_path, "trainval").records) == 4
    assert len(read_voc(tmp_path, "test").records) == 1


def test_one_year(tmp_path):
    make_voc(tmp_path / "VOC2012")
    assert len(read_voc(tmp_path, "trainval").records) == 2
    assert len(read_voc(str(tmp_path), "test").records) == 1


def test_train_and_val_make_trainval(voc):
    (voc / "ImageSets/Main/trainval.txt").unlink()
    write_set(voc, "val", ["a"])
    only_fault(voc, "train.txt", "no such image set", "accepted are")
    write_set(voc, "train", ["b", "a"])
    assert [record.image.stem for record in read_voc(voc, "trainval").records] == ["b", "a"]


@pytest.mark.parametrize("split", ["trainval", "test"])
def test_missing_image_set(voc, split):
    (voc / f"ImageSets/Main/{split}.txt").unlink()
    only_fault(voc, f"{split}.txt", "no such image set", "accepted are")


@pytest.mark.parametrize("part", ["JPEGImages", "Annotations", "ImageSets"])
def test_missing_part(voc, part):
    shutil.rmtree(voc / part)
    only_fault(voc, "Main" if part == "ImageSets" else part, "no such folder", "accepted are")


def test_no_voc_data(tmp_path):
    only_fault(tmp_path, tmp_path.name, "no VOC data", "accepted are")
    only_fault(tmp_path / "nowhere", "nowhere", "no such folder")


# Faults of image sets


@pytest.mark.parametrize(
    "id_", ["../voc/JPEGImages/a", "/etc/a", "C:a", "C:\\a", "x\\a", "..", "./a", "x//a", "a\0"]
)
def test_ids_must_stay_inside(voc, id_):
    write_set(voc, "trainval", ["b", id_])
    only_fault(voc, "trainval.txt", repr(id_), "inside the data folder")


@pytest.mark.parametrize("name", ["JPEGImages/a.jpg", "Annotations/a.xml", "JPEGImages"])
def test_links_must_stay_inside(voc, tmp_path, name):
    outside = tmp_path / "outside"
    (voc / name).rename(outside)
    (voc / name).symlink_to(outside, target_is_directory=outside.is_dir())
    only_fault(voc, Path(name).name, "leads outside")


def test_links_inside_and_to_the_folder_are_fine(voc, tmp_path):
    (voc / "JPEGImages/a.jpg").rename(voc / "kept.jpg")
    (voc / "JPEGImages/a.jpg").symlink_to(voc / "kept.jpg")
    (tmp_path / "link").symlink_to(voc, target_is_directory=True)
    assert find_faults(tmp_path / "link") == []


@pytest.mark.parametrize("split", ["trainval", "test"])
def test_empty_image_set(voc, split):
    write_set(voc, split, ["", " "])
    only_fault(voc, "Main", f"the {split} split has no image id")


def test_image_set_in_another_encoding(voc):
    (voc / "ImageSets/Main/test.txt").write_bytes(b"\xff\xfe\x00")
    only_fault(voc, "test.txt", "UTF-8")


def test_no_object_at_all(voc):
    write_set(voc, "trainval", ["a"])
    write_xml(voc)
    only_fault(voc, "voc", "none of the 1 images of trainval has an object")


# Faults of annotations


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (object_xml("cat", 10, 5, 10, 45), ["object 1 (cat)", "10, 5, 10, 45", "empty"]),
        (object_xml("cat", 60, 5, 10, 45), ["object 1 (cat)", "60, 5, 10, 45", "empty"]),
        (object_xml("cat", 100, 5, 120, 45), ["object 1 (cat)", "100x50 image", "empty"]),
        (object_xml("cat", 10, 5, "nan", 45), ["object 1 (cat)", "xmax is 'nan'"]),
        (object_xml("cat", 10, "-inf", 20, 45), ["ymin is '-inf'"]),
        (object_xml("cat", 10, 5, "1e999", 45), ["xmax is '1e999'"]),
        (object_xml("cat", 10, 5, "wide", 45), ["xmax is 'wide'"]),
        (object_xml("cat", 10, 5, "", 45), ["xmax is ''"]),
        (object_xml("cat"), ["object 1 (cat)", "no <bndbox>"]),
        (object_xml(None, 1, 1, 9, 9), ["object 1", "no <name>"]),
        (object_xml(" ", 1, 1, 9, 9), ["object 1", "no <name>"]),
        (object_xml(*CAT, difficult=2), ["object 1 (cat)", "difficult is '2'"]),
        (object_xml(*CAT, difficult="no"), ["difficult is 'no'"]),
    ],
)
def test_object_faults(voc, xml, words):
    write_xml(voc, xml)
    only_fault(voc, "a.xml", *words)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((HEIGHT, WIDTH), ["50x100", "100x50"]),
        (("wide", HEIGHT), ["size/width is 'wide'"]),
    ],
)
def test_size_faults(voc, size, words):
    write_xml(voc, object_xml(*CAT), size=size)
    only_fault(voc, "a.xml", *words)


ENTITY = '<!DOCTYPE a [<!ENTITY e "cat">]><annotation>&e;</annotation>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><annotation>&e;</annotation>'
BOMB = (
    '<!DOCTYPE a [<!ENTITY a "xx"><!ENTITY b "&a;&a;&a;">]><annotation><object><name>&b;</name>'
    "</object></annotation>"
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("<annotation><object>", "not well-formed"),
        ("", "not well-formed"),
        ("<?xml version='1.0' encoding='nonsense'?><annotation/>", "not well-formed"),
        ("<html/>", "<html>"),
        ("<!DOCTYPE a SYSTEM 'http://localhost/a.dtd'><annotation/>", "refused"),
        (ENTITY, "refused"),
        (EXTERNAL, "refused"),
        (BOMB, "refused"),
    ],
)
def test_xml_faults(voc, text, word):
    (voc / "Annotations/a.xml").write_text(text)
    only_fault(voc, "a.xml", word)


def test_missing_annotation(voc):
    (voc / "Annotations/c.xml").unlink()
    only_fault(voc, "c.xml", "no such annotation file")


# Faults of images


def test_missing_image(voc):
    (voc / "JPEGImages/a.jpg").unlink()
    only_fault(voc, "a", "no image of this name")


def test_two_images_of_one_name(voc):
    add_image(voc, "a", object_xml(*CAT), suffix=".png")
    only_fault(voc, "a", "a.jpg, a.png")


def test_truncated_jpeg(voc):
    path = voc / "JPEGImages/a.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    only_fault(voc, "a.jpg", "truncated")


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0 broken"])
def test_not_an_image(voc, content):
    (voc / "JPEGImages/a.jpg").write_bytes(content)
    only_fault(voc, "a.jpg", "not a readable JPEG, PNG, BMP image")


def test_dangling_link(voc):
    (voc / "JPEGImages/a.jpg").unlink()
    (voc / "JPEGImages/a.jpg").symlink_to(voc / "nowhere.jpg")
    only_fault(voc, "a.jpg", "no such image file")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(8000, 7000), (10000, 10000), (20000, 20000)])
def test_huge_image(voc, size):
    (voc / "JPEGImages/a.jpg").unlink()
    Image.new("1", size).save(voc / "JPEGImages/a.png", compress_level=1)
    only_fault(voc, "a.png", "pixels")


# All at once


def test_all_faults_are_listed_once(voc):
    ids = [f"m{i}" for i in range(12)]
    write_set(voc, "trainval", ids)
    write_set(voc, "test", [*ids[:3], "c"])
    faults = find_faults(voc)
    assert len(faults) == len({str(fault) for fault in faults}) == 24  # image and annotation
    with pytest.raises(DataError) as caught:
        read_voc(voc, "trainval")
    lines = str(caught.value).splitlines()
    assert "24 faults" in lines[0]
    assert lines[11] == "  ... and 14 more"
    assert lines[12].endswith(f"make check-data DATA_DIR={voc}")
    assert len(lines) == 13


def test_the_check_lists_all_faults(voc, capsys):
    (voc / "JPEGImages/a.jpg").unlink()
    (voc / "Annotations/c.xml").unlink()
    assert check.main([str(voc)]) == 1
    out = capsys.readouterr().out
    assert "no image of this name" in out
    assert "c.xml" in out
    assert "2 faults" in out


def test_the_check_sums_up(voc, capsys):
    write_xml(voc, object_xml(*CAT), object_xml("dog", 1, 1, 9, 9, difficult=1))
    assert check.main([str(voc)]) == 0
    out = capsys.readouterr().out
    assert "2 classes: cat, dog" in out
    assert "trainval: 2 images, 3 objects, 1 of them difficult" in out
    assert "test: 1 images, 1 objects, 0 of them difficult" in out
