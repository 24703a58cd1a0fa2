"""The forms that a VOC folder may have."""

import shutil

import pytest

from ssd_model.data.folder import find_faults, read_data
from tests.helpers.voc_folder import (
    make_voc,
    only_fault,
    write_set,
)


@pytest.mark.parametrize("parent", [".", "VOCdevkit"])
def test_both_years(tmp_path, parent):
    make_voc(tmp_path / parent / "VOC2007")
    make_voc(tmp_path / parent / "VOC2012", ["2012_a"], test=None)
    trainval, test = read_data(tmp_path, "trainval"), read_data(tmp_path, "test")
    assert [record.image.stem for record in trainval.records] == ["a", "b", "2012_a"]
    assert [record.image.stem for record in test.records] == ["c"]


def test_the_same_id_in_both_years(tmp_path):
    make_voc(tmp_path / "VOC2007")
    make_voc(tmp_path / "VOC2012")
    assert len(read_data(tmp_path, "trainval").records) == 4
    assert len(read_data(tmp_path, "test").records) == 1


def test_one_year(tmp_path):
    make_voc(tmp_path / "VOC2012")
    assert len(read_data(tmp_path, "trainval").records) == 2
    assert len(read_data(str(tmp_path), "test").records) == 1


def test_train_and_val_make_trainval(voc):
    (voc / "ImageSets/Main/trainval.txt").unlink()
    write_set(voc, "val", ["a"])
    only_fault(voc, "train.txt", "no such list; add it")
    write_set(voc, "train", ["b", "a"])
    assert [record.image.stem for record in read_data(voc, "trainval").records] == ["b", "a"]


@pytest.mark.parametrize("split", ["trainval", "test"])
def test_missing_image_set(voc, split):
    (voc / f"ImageSets/Main/{split}.txt").unlink()
    only_fault(voc, f"{split}.txt", "no such list; add it")


@pytest.mark.parametrize("part", ["JPEGImages", "Annotations"])
def test_missing_part(voc, part):
    shutil.rmtree(voc / part)
    only_fault(voc, part, "no such folder", "accepted are")


def test_no_data(tmp_path):
    only_fault(tmp_path, tmp_path.name, "no VOC or COCO data", "accepted are")
    only_fault(tmp_path / "nowhere", "nowhere", "no such folder")


def test_a_missing_folder_is_told_with_those_that_may_be_meant(voc):
    """As in DIOR."""
    (voc / "JPEGImages").rename(voc / "JPEGImages-all")
    only_fault(voc, "JPEGImages", "but images are in JPEGImages-all: put them into it")
    (voc / "JPEGImages-all").rename(voc / "JPEGImages")
    (voc / "Annotations").rename(voc / "lable")
    only_fault(voc, "Annotations", "but .xml files are in lable: put them into it")


def test_folders_of_other_names_are_told(voc):
    (voc / "JPEGImages").rename(voc / "photos")
    (voc / "Annotations").rename(voc / "labels_mine")
    assert {fault.path.name: fault.what for fault in find_faults(voc)} == {
        "JPEGImages": "no such folder, but images are in photos: put them into it",
        "Annotations": "no such folder, but .xml files are in labels_mine: put them into it",
    }
    for path in (voc / "photos").iterdir():
        path.rename(voc / path.name)
    only_fault(voc, "Annotations", "but .xml files are in labels_mine: put them into it")
    (voc / "labels_mine").rename(voc / "Annotations")
    assert find_faults(voc) == []


def test_a_folder_with_an_xml_file_of_no_image_is_not_suggested(voc):
    (voc / "JPEGImages").rename(voc / "photos")
    (voc / "Annotations").rename(voc / "ann")
    for path in (voc / "ann").iterdir():
        path.unlink()
    (voc / "ann/settings.xml").write_text("<settings/>")
    only_fault(voc, voc.name, "no VOC or COCO data")


def test_a_folder_without_images_beside_one_with_images(voc):
    (voc / "JPEGImages").rename(voc / "images")
    (voc / "JPEGImages").mkdir()
    assert find_faults(voc) == []


def test_annotations_without_a_suffix(voc):
    """As in Stanford Dogs."""
    (voc / "Annotations").rename(voc / "Annotation")
    for path in (voc / "Annotation").iterdir():
        path.rename(path.with_suffix(""))
    only_fault(voc, "Annotation", "no .xml file is in it")


def test_the_two_archives_of_voc_2007_side_by_side(tmp_path):
    for name in ("VOCtest_06-Nov-2007", "VOCtrainval_06-Nov-2007"):
        make_voc(tmp_path / name / "VOCdevkit/VOC2007")
    only_fault(tmp_path, tmp_path.name, "or merge their VOCdevkit folders into one")
