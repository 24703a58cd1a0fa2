"""No image and no annotation takes the place of another."""

import pytest
from PIL import Image

from ssd_model.data.folder import find_faults, read_data
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.helpers.voc_folder import (
    CAT,
    add_image,
    names,
    object_xml,
    only_fault,
    place,
    write_set,
)


def test_a_missing_coco_image_is_not_replaced_by_one_of_its_name(tmp_path):
    for folder, stems in (("images", "a"), ("images/cam1", "b"), ("images/cam2", "abc")):
        add_images(tmp_path / folder, stems)
    content = coco_content("abcde")
    files = ["cam1/a.jpg", "cam1/b.jpg", "cam2/a.jpg", "cam2/b.jpg", "cam2/c.jpg"]
    for image, file in zip(content["images"], files, strict=True):
        image["file_name"] = file
    write_coco(tmp_path / "annotations.json", content)
    (fault,) = find_faults(tmp_path)
    assert "no image 'cam1/a.jpg' in" in fault.what


def test_a_missing_coco_image_is_not_taken_from_a_less_likely_folder(tmp_path):
    coco = make_coco(tmp_path, "abcd", "e")
    (coco / "train2017/d.jpg").unlink()
    add_images(coco / "images", "abcdef")
    (fault,) = find_faults(coco)
    assert "no image 'd.jpg' in" in fault.what
    assert "train2017, as others of this file" in fault.what


@pytest.mark.parametrize("folder", ["images", "images/deeper"])
def test_a_missing_coco_image_is_not_replaced_by_its_mask(tmp_path, folder):
    add_images(tmp_path / folder, ["a", "b", "c", "d", "e.jpg"])
    write_coco(tmp_path / "annotations.json", coco_content("abcde"))
    (fault,) = find_faults(tmp_path)
    assert "no image 'e.jpg' in" in fault.what


def test_a_missing_image_of_a_pair_is_not_replaced_by_its_mask(tmp_path):
    for stem in "abcd":
        place(tmp_path, stem, "images", "annotations")
    for name, stems in (("train", "abc"), ("val", "d")):
        lines = [f"images/{stem}.jpg annotations/{stem}.xml\n" for stem in stems]
        (tmp_path / f"{name}_list.txt").write_text("".join(lines))
    (tmp_path / "images/a.jpg").rename(tmp_path / "images/a.jpg.jpg")
    only_fault(tmp_path, "train_list.txt", "no image of this name, only a.jpg.jpg; correct")


def test_a_coco_file_without_its_images_has_one_fault(tmp_path):
    """As CVAT exports it, unless images are asked for."""
    write_coco(tmp_path / "annotations/instances_default.json", coco_content("abcdef"))
    words = f"none of its 6 images, such as 'a.jpg', is in {tmp_path.name}; copy them there"
    only_fault(tmp_path, "instances_default.json", words)


@pytest.mark.parametrize(("count", "words"), [(5, "none of its 5 images"), (1, "no image 'a.jpg'")])
def test_coco_images_that_were_converted(tmp_path, count, words):
    add_images(tmp_path / "images", "abcde")
    for stem in "abcde"[:count]:
        (tmp_path / f"images/{stem}.jpg").rename(tmp_path / f"images/{stem}.png")
    write_coco(tmp_path / "instances.json", coco_content("abcde"))
    there = "but a.png is there: correct the names in instances.json"
    only_fault(tmp_path, "instances.json", words, there)


def test_an_image_that_is_listed_itself_is_not_suggested(tmp_path):
    add_images(tmp_path / "images", "bcde")
    Image.new("RGB", (100, 50)).save(tmp_path / "images/a.png")
    content = coco_content("abcde")
    content["images"][1]["file_name"] = "a.png"
    write_coco(tmp_path / "instances.json", content)
    where = f"{tmp_path.name}/images, as others of this file"
    only_fault(tmp_path, "instances.json", f"no image 'a.jpg' in {where}")


def test_names_that_are_whole_go_before_those_without_their_folder(tmp_path):
    """As in folders that are numbered alike, whose train folder is divided by two files."""
    for name in ("train", "test"):
        add_images(tmp_path / name, [f"s{i}" for i in range(5)])
    for name, numbers in (("train", range(3)), ("test", range(3, 5))):
        content = coco_content([f"train/s{i}" for i in numbers])
        write_coco(tmp_path / f"annotations/{name}.json", content)
    (record, _) = read_data(tmp_path, "test").records
    assert record.image == tmp_path / "train/s3.jpg"


def test_images_of_a_coco_file_in_two_folders(tmp_path):
    for folder in ("train", "extra", "val"):
        add_images(tmp_path / folder, "ab")
    stems = ["train/a", "train/b", "extra/a", "extra/b"]
    write_coco(tmp_path / "annotations/instances_train.json", coco_content(stems))
    write_coco(tmp_path / "annotations/instances_val.json", coco_content(["val/a"]))
    assert len({record.image for record in read_data(tmp_path, "trainval").records}) == 4


@pytest.mark.parametrize("start", ["C:\\Users\\ann", "file:///C:/ann", "../..//a/b"])
def test_coco_names_from_another_computer_may_have_more_folders(tmp_path, start):
    add_images(tmp_path / "images", "abcde")
    content = coco_content("abcde")
    for image in content["images"][1:]:
        image["file_name"] = f"{start}/{image['file_name']}"
    write_coco(tmp_path / "annotations.json", content)
    assert len(read_data(tmp_path, "trainval").records) == 4


def test_coco_names_from_two_computers(tmp_path):
    for camera in ("cam1", "cam2"):
        add_images(tmp_path / "images" / camera, "abcde")
    stems = [f"cam1/{stem}" for stem in "abcde"] + [f"pics/more/cam2/{stem}" for stem in "abcde"]
    write_coco(tmp_path / "annotations.json", coco_content(stems))
    assert find_faults(tmp_path) == []
    (tmp_path / "images/cam2/a.jpg").rename(tmp_path / "images/a.jpg")
    (fault,) = find_faults(tmp_path)
    assert "no image 'pics/more/cam2/a.jpg' in" in fault.what


def test_files_beside_images_that_a_tool_wrote(tmp_path):
    coco = make_coco(tmp_path)
    for path in ("train2017/a.jpg.aux.xml", "val2017/c.jpg.aux.xml"):
        (coco / path).write_text("<PAMDataset></PAMDataset>")
    assert find_faults(coco) == []


def test_the_annotation_of_an_image_is_not_given_to_one_in_another_case(voc):
    add_image(voc, "img", object_xml(*CAT))
    add_image(voc, "IMG")
    (voc / "Annotations/IMG.xml").unlink()
    write_set(voc, "trainval", ["a", "IMG"])
    only_fault(voc, "IMG.xml", "no such annotation file")


def test_an_image_in_another_case_without_an_annotation_is_left_out(tmp_path, capsys):
    for stem in "abcde":
        place(tmp_path, stem, "images", "annotations")
    place(tmp_path, "A", "images", "")
    assert "A" not in names(tmp_path, "trainval") + names(tmp_path, "test")
    assert "images without an annotation left out: 1 (A.jpg)" in capsys.readouterr().out
