"""Images and annotations that are not side by side: one is in a folder more than the other."""

import shutil

import pytest

from ssd_model.data.folder import find_faults, read_data
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.helpers.voc_folder import (
    CAT,
    add_image,
    make_voc,
    names,
    object_xml,
    only_fault,
    place,
    write_set,
)


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("images", "annotations/xmls"),  # Oxford-IIIT Pet
        ("images/some", "annotations"),
        ("images", "annots"),
        ("img", "annotation"),
        (".", "annotations"),
        ("images", "."),
        ("images/images", "annotations/annotations"),
        ("images/x", "annotations/y"),
    ],
)
def test_without_lists(tmp_path, images, annotations):
    for stem in "abcde":
        place(tmp_path, stem, images, annotations)
    assert find_faults(tmp_path) == []
    assert sorted(names(tmp_path, "trainval") + names(tmp_path, "test")) == [*"abcde"]


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("{}/images", "{}/annotations/xmls"),  # Baidu's insects, RDD2022
        ("{}/images", "{}/images"),
        ("{0}/{0}/JPEGImages", "{0}/{0}/Annotations"),
        ("{}/cat", "{}/cat/To_PASCAL_XML"),  # Open Images, as OIDv4 converts it
        # The two archives of VOC2007, each unpacked into a folder of its own
        ("{}/VOCdevkit/VOC2007/JPEGImages", "{}/VOCdevkit/VOC2007/Annotations"),
    ],
)
def test_in_the_folder_of_a_set(tmp_path, images, annotations):
    for stem, name in (("a", "train"), ("b", "train"), ("c", "val")):
        place(tmp_path, stem, images.format(name), annotations.format(name))
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("images", "annotations"), [("JPEGImages", "Annotations/x"), ("JPEGImages/x", "Annotations")]
)
def test_with_lists(tmp_path, images, annotations):
    for stem in "abc":
        place(tmp_path, stem, images, annotations)
    write_set(tmp_path, "trainval", ["a", "b.jpg"])
    write_set(tmp_path, "test", ["c"])
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["c"])


def test_folders_tell_apart_what_has_the_same_name(tmp_path):
    for name, x in (("one", 10), ("two", 20)):
        for stem in "ab":
            place(tmp_path, stem, f"images/images/{name}", f"annotations/{name}")
            xml = tmp_path / f"annotations/{name}/{stem}.xml"
            xml.write_text(xml.read_text().replace("<xmin>10", f"<xmin>{x}"))
    records = [*read_data(tmp_path, "trainval").records, *read_data(tmp_path, "test").records]
    assert len(records) == 4
    for record in records:
        assert record.boxes[0, 0] == pytest.approx(
            0.1 if record.image.parent.name == "one" else 0.2
        )


def test_a_name_that_two_images_have_is_refused(tmp_path):
    for stem in "abc":
        place(tmp_path, stem, "images/one", "annotations")
    place(tmp_path, "a", "images/two", "")
    only_fault(tmp_path, "a", "more than one image of this name: one/a.jpg, two/a.jpg")


def test_an_annotation_that_two_listed_images_would_share_is_refused(tmp_path):
    voc = make_voc(tmp_path / "voc")
    twin = add_image(voc, "a", object_xml(*CAT), suffix=".png")
    write_set(voc, "test", ["a.png"])
    write_set(voc, "trainval", ["a.jpg", "b"])
    only_fault(voc, "a.xml", "JPEGImages/a.jpg and JPEGImages/a.png share it; give each its own")
    shutil.copy(voc / "JPEGImages/a.jpg", twin)  # which is told as used for both
    assert find_faults(voc) == []


def test_an_annotation_is_not_taken_from_another_image(voc):
    """sub/a.jpg lacks its annotation, and a.xml is that of a.jpg."""
    (voc / "JPEGImages/sub").mkdir()
    shutil.copy(voc / "JPEGImages/b.jpg", voc / "JPEGImages/sub/a.jpg")
    write_set(voc, "trainval", ["b", "sub/a"])
    only_fault(voc, "a.xml", "no such annotation file")


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("images/cat", "annotations/dog"),
        ("images/rejected", "annotations"),
        ("images", "annotations/old"),
    ],
)
def test_an_orphan_is_not_paired_with_another_orphan(tmp_path, images, annotations):
    """Of d, the image lies in one folder and the annotation in another, and both have files."""
    for stem, name in (("a", "cat"), ("b", "cat"), ("c", "dog")):
        nested = name if "dog" in annotations else ""
        place(tmp_path, stem, f"images/{nested}", f"annotations/{nested}")
    place(tmp_path, "d", images, annotations)
    (fault,) = find_faults(tmp_path)
    assert fault.path.name == "d"
    assert "no image of this name here, only" in fault.what


def test_an_orphan_in_a_list_is_not_paired_with_another_orphan(tmp_path):
    for stem, name in (("a", "cat"), ("b", "dog")):
        place(tmp_path, stem, f"JPEGImages/{name}", f"Annotations/{name}")
    place(tmp_path, "d", "JPEGImages/cat", "Annotations/dog")
    write_set(tmp_path, "trainval", ["cat/a", "cat/d"])
    write_set(tmp_path, "test", ["dog/b"])
    only_fault(tmp_path, "d.xml", "no such annotation file")


@pytest.mark.parametrize(
    ("images", "annotations"), [("images/batch1", "annotations"), ("images", "annotations/xmls")]
)
def test_a_stray_makes_no_orphans_of_the_others(tmp_path, images, annotations):
    for stem in "abcde":
        place(tmp_path, stem, images, annotations)
    place(tmp_path, "logo", "images", "")
    (tmp_path / "annotations/.old.xml").touch()
    assert find_faults(tmp_path) == []


@pytest.mark.parametrize("folders", [("Cat", "cat", "Dog", "dog"), ("\u00c4", "A\u0308", "B", "B")])
def test_orphans_in_folders_that_look_the_same(tmp_path, folders):
    place(tmp_path, "a", f"images/{folders[0]}", f"annotations/{folders[1]}")
    place(tmp_path, "b", f"images/{folders[2]}", f"annotations/{folders[3]}")
    place(tmp_path, "d", f"images/{folders[2]}", f"annotations/{folders[1]}")
    (fault,) = find_faults(tmp_path)
    assert "no image of this name here, only" in fault.what


@pytest.mark.parametrize("annotations", ["annotations/train", "annotations/val"])
def test_annotations_of_a_set_are_not_those_of_test_images(tmp_path, annotations):
    for stem in "abc":
        place(tmp_path, stem, "images/test", annotations)
    assert {fault.path.name for fault in find_faults(tmp_path)} >= {*"abc"}


@pytest.mark.parametrize(
    "line",
    ["images/new/a.jpg annotations/new/a.xml", "images/a.jpg annotations/new/a.xml"],
)
def test_what_a_pair_names_in_a_folder_that_is_there_must_be_there(tmp_path, line):
    for stem in "ab":
        place(tmp_path, stem, "images", "annotations")
    place(tmp_path, "c", "images/new", "annotations/new")
    (tmp_path / "train.txt").write_text(f"{line}\n")
    (tmp_path / "test.txt").write_text("images/b.jpg annotations/b.xml\n")
    assert find_faults(tmp_path)


def test_an_image_with_two_annotations_in_pairs_is_refused(tmp_path):
    for stem in "abc":
        place(tmp_path, stem, "images", "annotations")
    (tmp_path / "train.txt").write_text("a.jpg a.xml\na.jpg c.xml\n")
    (tmp_path / "test.txt").write_text("b.jpg b.xml\n")
    only_fault(tmp_path, "c.xml", "a.xml annotates a.jpg, too; keep one")


def test_a_pair_with_two_annotations_of_its_name_is_refused(tmp_path):
    for stem in "ab":
        place(tmp_path, stem, "images", "annotations/v1")
    shutil.copytree(tmp_path / "annotations/v1", tmp_path / "annotations/v2")
    (tmp_path / "train.txt").write_text("a.jpg a.xml\n")
    (tmp_path / "test.txt").write_text("b.jpg v2/b.xml\n")
    only_fault(tmp_path, "a", "more than one annotation", "v1/a.xml, annotations/v2/a.xml")


def test_the_folder_with_images_counts(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/all.csv").touch()
    for stem in "abcde":
        place(tmp_path, stem, "img", "annots")
    assert find_faults(tmp_path) == []


# COCO


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/train.json", "train/images"),
        ("annotations/instances_train.json", "images/train2017"),
        ("annotations/train/instances.json", "images/train"),
        ("annotations/annotations/instances_train.json", "train"),
    ],
)
def test_where_coco_files_and_their_images_are(tmp_path, file, folder):
    for name, stem in (("train", "a"), ("val", "b")):
        add_images(tmp_path / folder.replace("train", name), [stem])
        write_coco(tmp_path / file.replace("train", name), coco_content([stem]))
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a"], ["b"])


def test_an_image_of_another_set_is_not_taken(tmp_path):
    coco = make_coco(tmp_path, ["a", "b"], ["b"])
    (coco / "train2017/b.jpg").unlink()
    (fault,) = find_faults(coco)
    assert "train2017, as others of this file" in fault.what
    write_coco(coco / "annotations/instances.json", coco_content(["b"]))
    for year in ("annotations/instances_train2017.json", "annotations/instances_val2017.json"):
        (coco / year).unlink()
    add_images(coco / "train2017", ["b"])
    (fault,) = [each for each in find_faults(coco) if "more than one" in each.what]
    assert "train2017/b.jpg, val2017/b.jpg; keep one" in fault.what


@pytest.mark.parametrize("folder", ["masks", "images/rejected"])
def test_an_image_that_is_missing_is_not_taken_from_elsewhere(tmp_path, folder):
    add_images(tmp_path / "images", "abc")
    add_images(tmp_path / folder, "d")
    write_coco(tmp_path / "annotations/instances_default.json", coco_content("abcd"))
    (fault,) = find_faults(tmp_path)
    assert "images, as others of this file" in fault.what


def test_a_single_coco_file_whose_name_names_a_set(tmp_path):
    add_images(tmp_path / "train", "abcde")
    path = write_coco(tmp_path / "annotations/my_test_train.json", coco_content("abcde"))
    (fault,) = find_faults(tmp_path)
    assert "rename my_test_train.json so that it names no set" in fault.what
    path.rename(path.with_name("mine.json"))
    assert len(names(tmp_path, "trainval") + names(tmp_path, "test")) == 5
