"""A sample is judged as the whole split would be."""

import pytest
from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.voc_folder import (
    CAT,
    add_image,
    annotation_xml,
    object_xml,
    only_fault,
    write_set,
    write_xml,
)


def test_parts_of_an_image_that_round_above_one_are_refused(voc):
    write_xml(voc, object_xml("cat", 0.2, 0.3, 1.004, 0.9))
    only_fault(voc, "a.xml", "its boxes are parts of the image, 0 to 1")


def turn(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.save(path, exif=exif)


@pytest.mark.parametrize(("sides", "told"), [("s", False), ("us", True), ("u", True)])
def test_the_whole_split_shows_which_way_up_a_sample_is(tmp_path, capsys, sides, told):
    """Half-turned images cannot tell; sideways ones can, stored or upright, drawn or not."""
    stems = [f"{i:02}" for i in range(20)]
    for stem in stems:
        turn(add_image(tmp_path, stem, object_xml("cat", 0, 0, 20, 20)), 3)
    for i, side in enumerate(sides):
        size = (50, 100) if side == "u" else (100, 50)
        turn(add_image(tmp_path, f"x{i}", object_xml(*CAT)), 6)
        write = (tmp_path / f"Annotations/x{i}.xml").write_text
        write(annotation_xml(object_xml("cat", 1, 1, 40, 40), size=size))
    add_image(tmp_path, "t", object_xml(*CAT), color=(0, 0, 0))
    write_set(tmp_path, "trainval", stems + [f"x{i}" for i in range(len(sides))])
    write_set(tmp_path, "test", ["t"])
    for limit in range(4, 8):
        records = read_data(tmp_path, "trainval", limit).records
        half_turned = [record for record in records if not record.image.stem.startswith("x")]
        assert {record.upright for record in half_turned} == {told}
        unclear = "nothing shows that their boxes were drawn so" in capsys.readouterr().out
        assert unclear == (sides == "us")


@pytest.mark.parametrize("corners", [(90, 10, 130, 40), (60, 5, 60, 45), (60, 45, 10, 5)])
def test_a_sample_with_more_odd_boxes_than_the_whole_is_not_refused(voc, corners):
    dogs = [object_xml("dog", *(corner + i / 10 for corner in corners)) for i in range(30)]
    add_image(voc, "dogs", object_xml("dog", *CAT[1:]), *dogs)
    stems = [f"cat {i}" for i in range(99)]
    for stem in stems:
        add_image(voc, stem, object_xml(*CAT))
    write_set(voc, "trainval", ["dogs", *stems])
    assert len(read_data(voc, "trainval", 12).records) == 12
    assert find_faults(voc) == []
    write_set(voc, "trainval", ["dogs", *stems[:12]])
    with pytest.raises(DataError, match=r"of the 4[23] boxes of trainval"):
        read_data(voc, "trainval", 12)


def test_a_class_that_a_sample_lacks_is_not_said_to_lack_objects(voc, capsys):
    for stem in "de":
        add_image(voc, stem, object_xml(stem, *CAT[1:]))
    write_set(voc, "trainval", "abde")
    read_data(voc, "trainval", 2)
    told = capsys.readouterr().out
    assert "no object of the 2 images drawn from trainval is of class" in told
    read_data(voc, "test", 1)
    assert "no object of test is of class d, e: not measured" in capsys.readouterr().out
