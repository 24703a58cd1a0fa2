"""Every fault of a VOC folder, by its file, and the check that lists them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd_model.data import check
from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.voc_folder import (
    CAT,
    HEIGHT,
    WIDTH,
    add_image,
    object_xml,
    only_fault,
    write_set,
    write_xml,
)

# Faults of image sets


@pytest.mark.parametrize(
    "id_", ["JPEGImages/../../a", "/etc/..", "C:a", "C:\\", "b\\..\\a", "..", "a/../a", "a\0"]
)
def test_ids_must_stay_inside(voc, id_):
    write_set(voc, "trainval", ["b", id_])
    only_fault(voc, "trainval.txt", repr(id_), "inside the data folder")


@pytest.mark.parametrize("id_", ["../voc/JPEGImages/a", "..\\a.jpg", "./../a", "../../etc/a"])
def test_ids_from_another_folder_are_sought_inside(voc, id_):
    (voc.parent / "a.jpg").write_bytes(b"not this one")
    write_set(voc, "trainval", ["b", id_])
    images = [record.image for record in read_data(voc, "trainval").records]
    assert images == [voc / "JPEGImages/b.jpg", voc / "JPEGImages/a.jpg"]


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
    only_fault(voc, f"{split}.txt", "it names no image; fill it")


def test_image_set_in_another_encoding(voc):
    (voc / "ImageSets/Main/test.txt").write_bytes(b"\xff\xfea")
    only_fault(voc, "test.txt", "UTF-8")


def test_no_object_at_all(voc):
    write_set(voc, "trainval", ["a"])
    write_xml(voc)
    only_fault(voc, "voc", "no image of trainval has an object")


# Faults of annotations


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (object_xml("cat", 10, 5, "nan", 45), ["object 1 (cat)", "xmax is 'nan'"]),
        (object_xml("cat", 10, "-inf", 20, 45), ["ymin is '-inf'"]),
        (object_xml("cat", 10, 5, "1e999", 45), ["xmax is '1e999'"]),
        (object_xml("cat", 10, 5, "wide", 45), ["xmax is 'wide'"]),
        (object_xml("cat", 10, 5, "", 45), ["xmax is ''"]),
        (object_xml("cat"), ["object 1 (cat)", "no <bndbox>"]),
        (object_xml(None, 1, 1, 9, 9), ["object 1", "no <name>"]),
        (object_xml(" ", 1, 1, 9, 9), ["object 1", "no <name>"]),
        (object_xml(*CAT, difficult=2), ["object 1 (cat)", "difficult is '2'"]),
        (object_xml(*CAT, difficult="some"), ["difficult is 'some'"]),
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
    only_fault(voc, "trainval.txt", "line 'a': no image of this name")


def test_an_annotation_with_faults_of_a_missing_image(voc):
    (voc / "JPEGImages/a.jpg").unlink()
    (voc / "Annotations/a.xml").write_text("<annotation>")
    assert [fault.path.name for fault in find_faults(voc)] == ["trainval.txt", "a.xml"]


@pytest.mark.parametrize(
    "line", ["a.png", "JPEGImages/a.tif", "JPEGImages/a.png Annotations/a.xml"]
)
def test_an_image_of_another_suffix(voc, line):
    write_set(voc, "trainval", [line, "b"])
    only_fault(voc, "trainval.txt", f"line '{line}'", "only a.jpg; correct the suffix")


@pytest.mark.parametrize("line", ["# mine", "a.jpg,a.xml", "day1/a.png"])
def test_a_line_that_names_nothing_has_one_fault(voc, line):
    write_set(voc, "trainval", [line, "b"])
    only_fault(voc, "trainval.txt", f"line '{line}': no image of this name")


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
    only_fault(voc, "a.jpg", "not a readable JPEG, PNG, BMP, WEBP image")


def test_dangling_link(voc):
    (voc / "JPEGImages/a.jpg").unlink()
    (voc / "JPEGImages/a.jpg").symlink_to(voc / "nowhere.jpg")
    only_fault(voc, "a.jpg", "no such image file")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(12000, 10000), (14000, 10000), (20000, 20000)])
def test_huge_image(voc, size):
    (voc / "JPEGImages/a.jpg").unlink()
    Image.new("1", size).save(voc / "JPEGImages/a.png", compress_level=1)
    only_fault(voc, "a.png", "pixels")


# Files that would take for ever


@pytest.mark.parametrize("name", ["Annotations/a.xml", "JPEGImages/a.jpg", "label_list"])
def test_a_pipe_is_not_waited_for(voc, name):
    (voc / name).unlink(missing_ok=True)
    os.mkfifo(voc / name)
    only_fault(voc, Path(name).name, "not a regular file")


@pytest.mark.parametrize("name", ["Annotations/a.xml", "label_list"])
def test_a_giant_is_not_read(voc, name):
    with (voc / name).open("w") as file:
        file.truncate(10**10)
    only_fault(voc, Path(name).name, "10,000,000,000 bytes, above the limit")


@pytest.mark.parametrize("name", ["JPEGImages", "Main"])
def test_a_folder_that_may_not_be_listed(voc, monkeypatch, name):
    allowed = Path.iterdir

    def refuse(path):
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    only_fault(voc, name, "cannot be read (Permission denied)")


# All at once


def test_all_faults_are_listed_once(voc):
    ids = [f"m{i}" for i in range(12)]
    write_set(voc, "trainval", ids)
    write_set(voc, "test", [*ids[:3], "c"])
    faults = find_faults(voc)
    assert len(faults) == len({str(fault) for fault in faults}) == 12
    with pytest.raises(DataError) as caught:
        read_data(voc, "trainval")
    lines = str(caught.value).splitlines()
    assert "12 faults" in lines[0]
    assert lines[11] == "  ... and 2 more"
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
    assert "test: 1 image, 1 object, 0 of them difficult" in out
