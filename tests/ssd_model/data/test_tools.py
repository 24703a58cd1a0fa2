"""Folders as labelling tools write them, and what is said of those that are not read."""

import shutil

import pytest
from PIL import Image

from ssd_model.data import check
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.helpers.voc_folder import (
    CAT,
    add_image,
    make_voc,
    names,
    object_xml,
    only_fault,
    write_set,
)


def move(folder, stem, images, annotations):
    """Move an image and its annotation of a VOC folder to where another tool has them."""
    moves = (("JPEGImages", "jpg", images), ("Annotations", "xml", annotations))
    for source, suffix, target in moves:
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / source / f"{stem}.{suffix}").rename(folder / target / f"{stem}.{suffix}")
        if not any((folder / source).iterdir()):
            (folder / source).rmdir()


def without_lists(folder):
    """A VOC folder of images a, b, c, d without lists, each image another one."""
    for i, stem in enumerate("abcd"):
        add_image(folder, stem, object_xml(*CAT), color=(20 * i, 0, 0))
    return folder


# CVAT


def test_lists_in_any_case_and_ids_in_quotation_marks(voc):
    shutil.rmtree(voc / "ImageSets")
    add_image(voc, "photo 1", object_xml(*CAT))
    write_set(voc, "Train", ['"photo 1"', "a"])
    write_set(voc, "Validation", ["b"])
    write_set(voc, "Test", ["c"])
    assert names(voc, "trainval") == ["a", "b", "photo 1"]
    assert names(voc, "test") == ["c"]


def test_a_rotated_box_of_coco_is_refused(tmp_path):
    coco = make_coco(tmp_path / "coco")
    content = coco_content(["a", "b"])
    content["annotations"][0]["attributes"] = {"occluded": False, "rotation": 0.0}
    write_coco(coco / "annotations/instances_train2017.json", content)
    assert find_faults(coco) == []
    content["annotations"][0]["attributes"]["rotation"] = 45.0
    write_coco(coco / "annotations/instances_train2017.json", content)
    (fault,) = find_faults(coco)
    assert "annotation 1 (cat): rotated by 45.0 degrees; export upright boxes" in fault.what


def test_its_own_format_is_named(tmp_path):
    add_images(tmp_path / "images", "ab")
    (tmp_path / "annotations.xml").write_text("<annotations><image/></annotations>")
    only_fault(tmp_path, tmp_path.name, "in CVAT's own format; export as Pascal VOC or COCO")


# A folder for each set


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("images/{}", "annotations/{}"),
        ("images/{}", "annotations"),
        ("images", "annotations/{}"),
    ],
)
def test_sets_in_folders(tmp_path, capsys, images, annotations):
    voc = without_lists(tmp_path)
    for stem, set_ in (("a", "train"), ("b", "train"), ("c", "val"), ("d", "test")):
        move(voc, stem, images.format(set_), annotations.format(set_))
    add_images(voc / images.format("train"), ["left"])
    assert (names(voc, "trainval"), names(voc, "test")) == (["a", "b", "c"], ["d"])
    told = "images without an annotation left out: 1 (left.jpg)"
    assert capsys.readouterr().out.count(told) == 1
    assert [record.validation for record in read_data(voc, "trainval").records] == [0, 0, 1]
    (voc / images.format("test") / "d.jpg").unlink()
    assert find_faults(voc)[0].what.startswith("no image of this name")


def test_a_single_set_is_no_division(tmp_path, capsys):
    voc = without_lists(tmp_path)
    for stem in "abcd":
        move(voc, stem, "images/train", "annotations/train")
    assert len(names(voc, "test")) == 1
    assert "the test set is 1 of the 4 images, drawn at random" in capsys.readouterr().out


def test_a_file_beside_the_sets_is_not_passed_over(tmp_path, capsys):
    voc = without_lists(tmp_path)
    for stem, set_ in (("a", "train"), ("b", "test")):
        move(voc, stem, f"images/{set_}", f"annotations/{set_}")
    for stem in "cd":
        move(voc, stem, "images", "annotations")
    assert sorted([*names(voc, "trainval"), *names(voc, "test")]) == [*"abcd"]
    assert "the test set is 1 of the 4 images, drawn at random" in capsys.readouterr().out


@pytest.mark.parametrize("labels", ["labels", "xml", "Xmls"])
def test_other_names_of_the_folders(tmp_path, labels):
    voc = without_lists(tmp_path)
    for stem in "abcd":
        move(voc, stem, "data", labels)
    assert find_faults(voc) == []
    for stem, set_ in (("a", "train"), ("b", "train"), ("c", "train"), ("d", "test")):
        for kind, suffix in (("data", "jpg"), (labels, "xml")):
            target = voc / "new" / set_ / kind
            target.mkdir(parents=True, exist_ok=True)
            (voc / kind / f"{stem}.{suffix}").rename(target / f"{stem}.{suffix}")
    assert (names(voc / "new", "trainval"), names(voc / "new", "test")) == (["a", "b", "c"], ["d"])


def test_images_beside_their_annotations_one_folder_down(tmp_path):
    """As labelImg saves them."""
    voc = without_lists(tmp_path)
    for stem in "abcd":
        move(voc, stem, "images", "images")
    only_fault(voc, voc.name, "no data in this folder itself, but in images: name that folder")
    assert find_faults(voc / "images") == []


# What cannot be right, or would be lost


def test_an_image_has_one_annotation(tmp_path):
    voc = without_lists(tmp_path)
    for stem in "abcd":
        move(voc, stem, ".", ".")
    shutil.copy(voc / "a.xml", voc / "a.jpg.xml")
    (fault,) = find_faults(voc)
    assert {fault.path.name, fault.what.split()[0]} == {"a.xml", "a.jpg.xml"}
    assert "annotates a.jpg, too; keep one" in fault.what


def test_fractions_on_some_images(voc):
    add_image(voc, "a", object_xml("cat", 0.1, 0.1, 0.6, 0.9), object_xml("cat", 0, 0, 1, 0.5))
    only_fault(voc, "a.xml", "its boxes are parts of the image, 0 to 1")
    add_image(voc, "a", object_xml("cat", 0, 0, 1, 1))  # a pixel
    assert find_faults(voc) == []


@pytest.mark.parametrize("name", ["label_list", "VOC2007/label_list.txt"])
def test_where_a_label_list_may_be(tmp_path, name):
    make_voc(tmp_path / "VOC2007")
    (tmp_path / name).write_text("background\ndog\ncat\n")
    assert read_data(tmp_path, "test").classes == ("dog", "cat")


def test_images_of_val_that_trainval_lacks_are_told(voc, capsys):
    add_image(voc, "d", object_xml(*CAT))
    write_set(voc, "val", ["b", "d"])
    assert names(voc, "trainval") == ["a", "b"]
    told = "images of val that are not in trainval, left out: 1 (d.xml)"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".gif", ".HEIC", ".tif", ".ppm"])
def test_images_of_another_kind_are_named(voc, tmp_path, suffix):
    voc = shutil.move(voc, tmp_path / "pets")
    (voc / "JPEGImages/a.jpg").rename(voc / f"JPEGImages/a{suffix}")
    only_fault(voc, f"a{suffix}", "is not a JPEG, PNG, BMP or WebP image; convert it")
    coco = make_coco(tmp_path / "coco")
    (coco / "train2017/a.jpg").rename(coco / f"train2017/a{suffix}")
    (fault,) = find_faults(coco)
    assert fault.path.name == f"a{suffix}" and "convert it" in fault.what


def test_images_that_are_all_of_another_kind_are_named(voc):
    for path in [*(voc / "JPEGImages").iterdir()]:
        path.rename(path.with_suffix(".tif"))
    (voc / "img").mkdir()
    Image.new("RGB", (9, 9)).save(voc / "img/logo.png")
    faults = find_faults(voc)
    assert [fault.path.name for fault in faults] == ["a.tif", "b.tif", "c.tif"]
    assert all("convert it" in fault.what for fault in faults)


def test_a_link_to_a_folder_is_not_passed_over(voc, tmp_path):
    (voc / "JPEGImages").rename(voc / "photos")
    (voc / "JPEGImages").symlink_to(voc / "photos")  # the folder itself may be one
    assert find_faults(voc) == []
    (voc / "Annotations/batch2").symlink_to(tmp_path)
    only_fault(voc, "batch2", "a link to a folder, which is not followed; copy its files there")


# COCO


def test_a_test_set_of_another_name_beside_instances(tmp_path):
    coco = make_coco(tmp_path)
    add_images(coco / "test", ["d"])
    write_coco(coco / "annotations/test.json", coco_content(["d"], 201))
    assert (names(coco, "trainval"), names(coco, "test")) == (["a", "b", "c"], ["d"])


@pytest.mark.parametrize("images", ["data", "images"])
@pytest.mark.parametrize("labels", ["labels.json", "annotations/instances.json"])
def test_coco_in_a_folder_for_each_set(tmp_path, images, labels):
    """As FiftyOne and Supervisely export it."""
    for i, (set_, stems) in enumerate({"train": "ab", "validation": "c", "test": "d"}.items()):
        add_images(tmp_path / set_ / images, stems)
        write_coco(tmp_path / set_ / labels, coco_content(stems, 10 * i))
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b", "c"], ["d"])


def test_images_that_no_file_lists_are_told(tmp_path, capsys):
    coco = make_coco(tmp_path)
    add_images(coco / "train2017", ["x", "y"])
    (coco / "label_list.txt").write_text("dog\ncat\n")
    assert names(coco, "trainval") == ["a", "b"]
    out = capsys.readouterr().out
    assert "images that no COCO file in use lists, left out: 2 (x.jpg, y.jpg)" in out
    assert "label_list.txt is not read: the classes are the categories of the COCO files" in out


@pytest.mark.parametrize("name", ["train", "my test project"])
def test_the_name_of_the_data_folder_is_no_set(tmp_path, name):
    add_images(tmp_path / name, "abcde")
    write_coco(tmp_path / name / "result.json", coco_content("abcde"))
    assert len(names(tmp_path / name, "test")) == 1


@pytest.mark.parametrize(
    "name",
    [
        *("https://site.org/upload/1/photo%201.jpg", "s3://bucket/photo 1.jpg"),
        *("../../media/upload/photo 1.jpg", "..\\..\\media\\photo 1.jpg"),
        *(
            "/data/local-files/?d=mine%2Fphoto%201.jpg",
            "http://a:1/data/local-files/?d=photo 1.jpg",
        ),
        *("gs://bucket/x/photo%201.jpg?name=x/y.jpg", "https://a/photo%201?token=x/y"),
    ],
)
def test_addresses_of_label_studio(tmp_path, name):
    coco = make_coco(tmp_path, train=["photo 1", "b"])
    content = coco_content(["photo 1", "b"])
    content["images"][0]["file_name"] = name
    write_coco(coco / "annotations/instances_train2017.json", content)
    assert names(coco, "trainval") == ["b", "photo 1"]


def test_notes_of_label_studio_are_not_annotations(tmp_path):
    add_images(tmp_path / "images", "abcde")
    write_coco(tmp_path / "result.json", coco_content("abcde"))
    write_coco(tmp_path / "notes.json", {"categories": [{"id": 0, "name": "cat"}], "info": {}})
    assert find_faults(tmp_path) == []


def test_images_in_one_file_for_two_sets(tmp_path):
    for stem, name in (("a", "trainset"), ("b", "testset")):
        add_images(tmp_path / "images", [stem])
        write_coco(tmp_path / f"{name}.json", coco_content([stem]))
    only_fault(tmp_path, tmp_path.name, "keep one, or put train, val or test in their names")


# Other formats


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("images/a.txt", "in YOLO's format"),
        ("labels/a.txt", "in YOLO's format"),
        ("train/labels/a.txt", "in YOLO's format"),
        ("labels/train/a.txt", "in YOLO's format"),
        ("train/_annotations.csv", "in CSV"),
        ("ds0/ann/a.jpg.json", "in JSON, but not COCO's"),
        ("output.manifest", "in SageMaker's format"),
        ("train/pets.tfrecord", "in TensorFlow's format"),
    ],
)
def test_other_formats_are_named(tmp_path, name, format_):
    add_images(tmp_path / "images", ["a"])
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    what = f"{name} is {format_}"
    only_fault(tmp_path, tmp_path.name, what, "; export as Pascal VOC or COCO")


def test_an_archive_and_home(tmp_path, capsys, monkeypatch):
    make_voc(tmp_path / "pets")
    (tmp_path / "pets.zip").touch()
    only_fault(tmp_path / "pets.zip", "pets.zip", "is a file; unpack it, or name its folder")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check.main(["~/pets"]) == 0
    assert f"{tmp_path}/pets has no faults" in capsys.readouterr().out
