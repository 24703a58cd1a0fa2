"""Which folders, lists and files name a set, and what stands in several."""

import json
import shutil

import pytest

from ssd_model.data.folder import read_data
from tests.helpers.coco_folder import add_images, coco_content, write_coco
from tests.helpers.voc_folder import (
    make_voc,
    names,
    place,
    write_set,
)


def coco_sets(folder, **sets):
    """Write a COCO folder whose sets may share images; return it."""
    for name, stems in sets.items():
        add_images(folder / "images", stems)
        write_coco(folder / f"annotations/instances_{name}.json", coco_content(stems))
    return folder


def validated(folder):
    records = read_data(folder, "trainval").records
    return [(record.image.stem, record.validation) for record in records]


def test_the_val_set_of_coco_beside_trainval(tmp_path, capsys):
    coco_sets(tmp_path, trainval="abcd", val="cde", test="f")
    assert validated(tmp_path) == [("a", False), ("b", False), ("c", True), ("d", True)]
    assert "images of val that are not in trainval, left out: 1 (e.jpg)" in capsys.readouterr().out


def test_an_image_of_train_and_val_counts_once(tmp_path, capsys):
    coco_sets(tmp_path, train="abc", val="cd", test="e")
    assert [stem for stem, _ in validated(tmp_path)] == ["a", "b", "c", "d"]
    told = "images in several sets to train on, counted once: 1 (c.jpg)"
    assert told in capsys.readouterr().out


def test_other_objects_of_an_image_in_each_of_its_sets_are_told(tmp_path, capsys):
    coco_sets(tmp_path, train="abc", val="cd", test="e")
    path = tmp_path / "annotations/instances_val.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][0] += 3
    path.write_text(json.dumps(content))
    read_data(tmp_path, "trainval")
    told = "images in several sets with other objects in each, of which the first counts: 1 (c.jpg)"
    assert told in capsys.readouterr().out


def test_a_copy_of_an_image_to_train_on_in_val_is_told(tmp_path, capsys):
    for stem, name in (("a", "train"), ("b", "train"), ("c", "valid"), ("e", "test")):
        place(tmp_path, stem, name, name)
    (tmp_path / "valid/c.jpg").write_bytes((tmp_path / "train/b.jpg").read_bytes())
    read_data(tmp_path, "trainval")
    assert "images of val that are also in train" in capsys.readouterr().out


def test_folders_divide_the_images_of_one_coco_file(tmp_path, capsys):
    stems = [f"{'test' if i > 7 else 'train'}/{i}" for i in range(10)]
    for name in ("train", "test"):
        (tmp_path / "images" / name).mkdir(parents=True)
    add_images(tmp_path / "images", stems)
    write_coco(tmp_path / "annotations.json", coco_content(stems))
    assert names(tmp_path, "test") == ["8", "9"]
    assert "divided by the folders that they are in: train, test" in capsys.readouterr().out


def test_a_folder_named_for_one_set_divides_nothing(tmp_path, capsys):
    (tmp_path / "images/train").mkdir(parents=True)
    stems = [f"train/{i}" for i in range(5)]
    add_images(tmp_path / "images", stems)
    write_coco(tmp_path / "annotations.json", coco_content(stems))
    assert len(names(tmp_path, "test")) == 1
    assert "folders named train are not used as sets" in capsys.readouterr().out


@pytest.mark.parametrize("names_of", [("train2017", "val2017"), ("train_images", "val_images")])
def test_folders_that_name_a_set_among_others(tmp_path, names_of):
    for stem, name in zip("abc", (names_of[0], *names_of), strict=True):
        place(tmp_path, stem, f"images/{name}", f"annotations/{name}")
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["c"])


def test_two_folders_for_a_set_divide_nothing(tmp_path, capsys):
    for stem, name in zip("abcde", ("train1", "train2", "test", "train1", "train2"), strict=True):
        place(tmp_path, stem, f"images/{name}", f"annotations/{name}")
    assert len(names(tmp_path, "test")) == 1
    assert "folders named test, train1, train2 are not used as sets" in capsys.readouterr().out


def test_a_folder_of_a_set_goes_before_one_that_only_names_it(tmp_path):
    for stem, name in (("a", "train"), ("b", "old trainval"), ("c", "test"), ("d", "val 2")):
        place(tmp_path, stem, name, name)
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a"], ["c"])


@pytest.mark.parametrize(
    "others", [("train station", "test track"), ("test shots",), ("val d'isere",)]
)
@pytest.mark.parametrize("form", ["voc", "coco"])
def test_a_folder_of_a_class_or_place_is_no_set(tmp_path, capsys, others, form):
    stems = [f"{others[i % len(others)] if i < 6 else '.'}/{i}" for i in range(10)]
    for path in stems:
        folder, stem = path.split("/")
        place(tmp_path, stem, f"images/{folder}", f"annotations/{folder}")
    if form == "coco":
        shutil.rmtree(tmp_path / "annotations")
        write_coco(tmp_path / "annotations.json", coco_content(stems))
    assert len(names(tmp_path, "test")) == 2
    assert "drawn at random" in capsys.readouterr().out


@pytest.mark.parametrize("bare", ["test", "val"])
def test_a_folder_of_one_coco_file_without_annotations(tmp_path, capsys, bare):
    stems = [f"{name}/{name}{i}" for name in ("train", "val", "test") for i in range(3)]
    for name in ("train", "val", "test"):
        (tmp_path / "images" / name).mkdir(parents=True)
    add_images(tmp_path / "images", stems)
    content = coco_content(stems)
    images = {each["id"]: each["file_name"] for each in content["images"]}
    content["annotations"] = [
        each for each in content["annotations"] if bare not in images[each["image_id"]]
    ]
    write_coco(tmp_path / "annotations.json", content)
    other = {"test": "val", "val": "test"}[bare]
    assert names(tmp_path, "test") == [f"{other}{i}" for i in range(3)]
    told = "images in the folder of a set without annotations, left out: 3"
    assert told in capsys.readouterr().out


def test_an_image_on_the_lists_of_train_and_val_is_told(voc, capsys):
    shutil.rmtree(voc / "ImageSets")
    for name, stems in (("train", "ab"), ("val", "b"), ("test", "c")):
        write_set(voc, name, stems)
    assert validated(voc) == [("a", False), ("b", True)]
    assert "images in several sets to train on, counted once: 1 (b.xml)" in capsys.readouterr().out


def test_an_image_on_the_lists_of_two_years_counts_once(tmp_path):
    for year, stem in (("VOC2007", "a"), ("VOC2012", "b")):
        make_voc(tmp_path / year, [stem], [f"{stem}2"])
    write_set(tmp_path / "VOC2012", "trainval", ["b", "VOC2007/JPEGImages/a.jpg"])
    assert names(tmp_path, "trainval") == ["a", "b"]


@pytest.mark.parametrize("others", [("train_train", "bus_train", "bus_val"), ("train_test",)])
def test_the_lists_of_a_class_called_train(voc, capsys, others):
    for name in ("train_val", *others):
        write_set(voc, name, ["a -1", "b 1"])
    assert names(voc, "trainval") == ["a", "b"]
    assert "not read" not in capsys.readouterr().out
    for name in ("trainval", "test"):
        (voc / f"ImageSets/Main/{name}.txt").unlink()
    for name, stems in (("train", "a"), ("val", "b"), ("test", "c")):
        write_set(voc, name, stems)
    assert validated(voc) == [("a", False), ("b", True)]


@pytest.mark.parametrize("name", ["{}", "voc_{}"])
@pytest.mark.parametrize("trainval", ["train_val", "train-val", "TRAINVAL"])
def test_a_list_of_train_and_val_is_not_that_of_val(voc, name, trainval):
    shutil.rmtree(voc / "ImageSets")
    for set_, stems in (("train", "a"), ("val", "b"), (trainval, "ab"), ("test", "c")):
        write_set(voc, name.format(set_), stems)
    assert validated(voc) == [("a", False), ("b", True)]


def test_lists_of_a_set_that_are_joined_are_told(voc, capsys):
    shutil.rmtree(voc / "ImageSets")
    for name, stems in (("2007_train", "a"), ("2012_train", "b"), ("2007_test", "c")):
        write_set(voc, name, stems)
    assert names(voc, "trainval") == ["a", "b"]
    told = "lists that are joined: 2007_train.txt, 2012_train.txt"
    assert told in capsys.readouterr().out


def test_lists_that_are_passed_over_for_others_are_told(voc, capsys):
    write_set(voc, "test_list", ["b"])
    write_set(voc, "testing", ["b"])
    read_data(voc, "trainval")
    assert "not read: test_list.txt, testing.txt, for lists are named as" in capsys.readouterr().out


def test_lines_that_end_as_on_an_old_mac(voc):
    (voc / "ImageSets/Main/trainval.txt").write_bytes(b"a\rb\r")
    assert names(voc, "trainval") == ["a", "b"]
