"""Boxes and objects that are odd: left out, read and told, or refused."""

import os

import numpy as np
import pytest

from ssd_model.data import check
from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.voc_folder import (
    CAT,
    add_image,
    make_voc,
    object_xml,
    only_fault,
    write_set,
    write_xml,
)

# Stray clicks

STRAY = {
    "empty": (10, 5, 10, 45),
    "a point": (50, 33, 50, 33),
    "outside": (100, 5, 120, 45),
    "left of it": (-20, 5, 0, 45),
}


@pytest.mark.parametrize("corners", STRAY.values(), ids=STRAY)
def test_a_stray_click_is_left_out_and_told(voc, capsys, corners):
    write_xml(voc, object_xml(*CAT), object_xml("cat", *corners))
    assert find_faults(voc) == []
    split = read_data(voc, "trainval")
    assert [len(record.labels) for record in split.records] == [1, 1]
    told = "boxes of trainval left out, empty or outside the image: 1 of 3 (a.xml)"
    assert capsys.readouterr().out.splitlines() == [told]
    (note,) = split.notes
    assert note.path == voc / "Annotations/a.xml"
    for words in ("object 2 (cat)", ", ".join(map(str, corners)), "100x50 image"):
        assert words in note.what


@pytest.mark.parametrize("corners", [(60, 5, 10, 45), (10, 45, 60, 5), (60, 45, 10, 5)])
def test_a_box_drawn_from_the_right_or_below_is_read_upright(voc, capsys, corners):
    write_xml(voc, object_xml("cat", *corners))
    (box,) = read_data(voc, "trainval").records[0].boxes
    np.testing.assert_allclose(box, [0.1, 0.1, 0.6, 0.9])
    kind = "boxes of trainval read upright, though their corners are the wrong way round: 1 of 2"
    assert capsys.readouterr().out == f"{kind} (a.xml)\n"


@pytest.mark.parametrize("first", [0, 1])
def test_an_object_that_is_there_twice_counts_once(voc, capsys, first):
    """The second could never be found, and would count as missed."""
    other = object_xml("dog", *CAT[1:])
    twice = [object_xml(*CAT, difficult=1), object_xml(*CAT)]
    write_xml(voc, twice[first], other, twice[not first])  # it counts if either of them does
    record = read_data(voc, "trainval").records[0]
    assert (record.labels.tolist(), record.difficult.tolist()) == ([1, 2], [False, False])
    kind = "boxes of trainval left out, since their image has the same box again: 1 of 4"
    assert capsys.readouterr().out == f"{kind} (a.xml)\n"


def test_the_check_lists_stray_clicks(voc, capsys):
    write_xml(voc, object_xml(*CAT), *[object_xml("cat", i, 5, i, 45) for i in (10, 20)])
    (voc / "ImageSets/Main/trainval.txt").write_text("a\nb\n" + "\n")
    assert check.main([str(voc)]) == 0
    out = capsys.readouterr().out
    for number in (2, 3):
        assert f"note: {voc}/Annotations/a.xml: object {number} (cat): box" in out
    assert "left out, empty or outside the image: 2 of 4 (a.xml)" in out
    assert "has no faults" in out


def test_most_boxes_empty_are_refused(voc):
    """Corners that are x, y, width, height, for one."""
    write_xml(voc, *[object_xml("cat", 40 + i, 20, 30, 10) for i in range(3)])
    faults = find_faults(voc)
    assert [fault.path.name for fault in faults] == ["voc", *["a.xml"] * 3]
    assert "3 of the 4 boxes of trainval are empty or turned inside out" in faults[0].what
    with pytest.raises(DataError, match="3 of the 4 boxes"):
        read_data(voc, "trainval")
    assert len(read_data(voc, "test").records) == 1


def test_half_of_the_boxes_may_be_empty(voc):
    write_xml(voc, object_xml("cat", 40, 20, 40, 30))
    assert [len(record.labels) for record in read_data(voc, "trainval").records] == [0, 1]


def test_an_image_whose_only_box_is_empty_stays_as_background(voc):
    write_xml(voc, object_xml("cat", 40, 20, 40, 20))
    assert read_data(voc, "trainval").records[0].boxes.shape == (0, 4)


def test_a_stray_click_of_an_unknown_class_is_refused(voc):
    (voc / "label_list").write_text("cat\n")
    write_xml(voc, object_xml(*CAT), object_xml("dog", 5, 5, 5, 5))
    only_fault(voc, "a.xml", "object 2 (dog)", "label_list")


def test_boxes_that_are_parts_of_the_image_are_refused(tmp_path):
    voc = make_voc(tmp_path / "voc", ["a"], ["c"])
    write_xml(voc, object_xml("cat", 0.1, 0.1, 0.5, 0.9))
    only_fault(voc, "voc", "all boxes of trainval are parts of the image", "pixels")


def test_boxes_of_x_y_width_and_height_are_refused(tmp_path):
    """Corners where COCO has width and height: most boxes then reach over the edge."""
    voc = make_voc(tmp_path / "voc", ["a"], ["c"])
    corners = [(x, y, x + 20, y + 10) for x in range(0, 80, 10) for y in (0, 20, 40)]
    write_xml(voc, *(object_xml("cat", *c) for c in corners))
    assert len(read_data(voc, "trainval").records[0].boxes) == 24
    write_xml(voc, *(object_xml("cat", x0, y0, x0 + x1, y0 + y1) for x0, y0, x1, y1 in corners))
    only_fault(voc, "voc", "of the 24 boxes of trainval reach far beyond the edge")


def test_a_box_far_beyond_the_edge_is_clipped_and_told(voc, capsys):
    """The image was made smaller, its annotation was not; a few pixels over are usual."""
    write_xml(voc, object_xml("cat", 10, 5, 105, 52), size=None)
    read_data(voc, "trainval")
    assert "clipped" not in capsys.readouterr().out
    write_xml(voc, object_xml("cat", 10, 5, 400, 45), size=None)
    box = read_data(voc, "trainval").records[0].boxes[0]
    assert box.tolist() == pytest.approx([0.1, 0.1, 1, 0.9])
    told = capsys.readouterr().out
    assert "clipped at the edge of their image, though they reach far beyond it: 1 of 2" in told


def test_a_few_boxes_that_all_reach_far_out_are_refused(tmp_path):
    voc = make_voc(tmp_path / "voc", ["a", "b"], ["c"])
    for stem in "ab":
        add_image(voc, stem, object_xml("cat", 60, 30, 160, 75))
    only_fault(voc, "voc", "2 of the 2 boxes of trainval reach far beyond the edge")


def test_difficult_objects_are_trained_on_but_cannot_be_measured(voc, capsys):
    for stem in "ab":
        add_image(voc, stem, object_xml(*CAT, difficult=1))
    read_data(voc, "trainval")
    assert "cannot be learned" not in capsys.readouterr().out
    add_image(voc, "c", object_xml(*CAT, difficult=1), object_xml("cat", 1, 1, 9, 9, difficult=1))
    only_fault(voc, "voc", "all objects of test (2) are difficult or crowds")


def test_a_name_that_is_not_utf_8_can_be_printed(voc, capsys):
    """A zip made on a Chinese Windows, unpacked on Linux."""
    (voc / "JPEGImages/b.jpg").rename(voc / "JPEGImages" / os.fsdecode(b"\xb2\xe2.jpg"))
    write_set(voc, "trainval", ["a"])
    assert check.main([str(voc)]) == 0
    told = capsys.readouterr().out
    assert "left out: 1 (\\udcb2\\udce2.jpg)" in told
    told.encode()
