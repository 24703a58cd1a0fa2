"""Which way up the boxes of a photograph were drawn that EXIF turns."""

import pytest
from PIL import Image

from ssd_model.data.folder import read_data
from tests.helpers.voc_folder import (
    HEIGHT,
    WIDTH,
    annotation_xml,
    object_xml,
    write_set,
    write_xml,
)


def test_exif_orientation_gives_the_size(voc):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(voc / "JPEGImages/a.jpg", exif=exif)
    record = read_data(voc, "trainval").records[0]
    assert (record.width, record.height) == (WIDTH, HEIGHT)


def test_an_annotation_of_the_stored_image_keeps_it_so(voc):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (HEIGHT, WIDTH))
    stored.putpixel((0, 0), (255, 255, 255))
    (voc / "JPEGImages/a.jpg").unlink()
    stored.save(voc / "JPEGImages/a.png", exif=exif)
    write_xml(voc, object_xml("cat", 0, 0, 25, 50), size=(HEIGHT, WIDTH))
    record = read_data(voc, "trainval").records[0]
    assert (record.width, record.height, record.upright) == (HEIGHT, WIDTH, False)
    assert record.boxes.tolist() == [[0, 0, 0.5, 0.5]]
    assert record.open().getpixel((0, 0)) == (255, 255, 255)


def add_turned(voc, stem, orientation, size, box=(5, 5, 40, 45)):
    """An image of 50x100 pixels as stored; `size` is what its annotation says."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (HEIGHT, WIDTH)).save(voc / f"JPEGImages/{stem}.jpg", exif=exif)
    one = object_xml("cat", *box)
    (voc / f"Annotations/{stem}.xml").write_text(annotation_xml(one, size=size))


UPRIGHT, STORED = (WIDTH, HEIGHT), (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("of_b", "upright", "is_clear"),
    [(UPRIGHT, True, True), (STORED, False, True), (None, True, False), ((-1, -1), True, False)],
)
def test_where_the_size_does_not_tell_the_other_images_do(voc, capsys, of_b, upright, is_clear):
    add_turned(voc, "a", 3, (HEIGHT, WIDTH))  # half a turn, of the same size
    add_turned(voc, "b", 6, of_b)
    assert [record.upright for record in read_data(voc, "trainval").records] == [upright] * 2
    told = "images of trainval that EXIF turns, read upright, though nothing shows"
    assert (told not in capsys.readouterr().out) == is_clear


@pytest.mark.parametrize(("of_test", "upright"), [(UPRIGHT, True), (STORED, False)])
def test_where_a_split_does_not_tell_the_other_one_does(voc, capsys, of_test, upright):
    add_turned(voc, "a", 3, (HEIGHT, WIDTH))
    add_turned(voc, "c", 6, of_test)
    write_set(voc, "test", ["c"])
    assert read_data(voc, "trainval").records[0].upright == upright
    assert "though nothing shows" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("box", "upright"),
    [
        *(((5, 5, 90, 45), True), ((5, 5, 40, 90), False)),
        *(((5, 5, 54, 45), True), ((5, 5, 45, 54), False)),
        *(((5, 5, 90, 54), True), ((5, 5, 54, 90), False)),
        *(((5, 5, 40, 45), None), ((5, 5, 54, 54), None)),
        *(((5, 5, 40, 50.5), None), ((5, 5, 50.00001, 45), None)),
    ],
)
def test_without_a_size_boxes_that_fit_only_one_way_show_it(voc, capsys, box, upright):
    """54 reaches beyond a side of 50 by less than a tenth: that counts if no way fits better.

    A pixel more shows nothing.
    """
    add_turned(voc, "a", 3, (HEIGHT, WIDTH))
    add_turned(voc, "b", 6, None, box)
    expected = [True if upright is None else upright] * 2
    assert [record.upright for record in read_data(voc, "trainval").records] == expected
    assert ("though nothing shows" in capsys.readouterr().out) == (upright is None)
