"""Which images are trained on and which are measured on."""

import numpy as np
import pytest

from ssd_model.data import check
from ssd_model.data.folder import find_faults, read_data
from ssd_model.data.sample import draw_sample, draw_test
from ssd_model.data.source import choose_sets
from tests.helpers.voc_folder import CAT, add_image, make_voc, object_xml, only_fault, write_set


def names(folder, split):
    return [record.image.stem for record in read_data(folder, split).records]


@pytest.mark.parametrize(
    ("found", "trainval", "test"),
    [
        ("trainval test", "trainval", "test"),
        ("trainval train val test", "trainval", "test"),
        ("train val test", "train val", "test"),
        ("train test", "train", "test"),
        ("train val", "train", "val"),
        ("trainval train val", "train", "val"),
        ("trainval val", "trainval", "val"),
    ],
)
def test_choose_sets(found, trainval, test):
    choice = choose_sets(found.split())
    assert (" ".join(choice.trainval), choice.test) == (trainval, test)
    assert bool(choice.told) == ("test" not in found)
    assert choice.less == (found == "trainval val")


@pytest.mark.parametrize(
    ("found", "missing"),
    [("test", "trainval"), ("val test", "train"), ("trainval", "test"), ("val", "train")],
)
def test_a_set_is_missing(found, missing):
    assert choose_sets(found.split()) == missing


def test_no_test_set(voc, capsys):
    """VOC2012 as it is downloaded."""
    (voc / "ImageSets/Main/test.txt").rename(voc / "ImageSets/Main/val.txt")
    write_set(voc, "trainval", ["a", "b", "c"])
    assert (names(voc, "trainval"), names(voc, "test")) == (["a", "b"], ["c"])
    assert "trained on trainval less val, measured on val" in capsys.readouterr().out
    write_set(voc, "train", ["b"])
    assert (names(voc, "trainval"), names(voc, "test")) == (["b"], ["c"])
    assert "trained on train, measured on val" in capsys.readouterr().out


def test_images_in_both_splits_are_told(voc, capsys):
    add_image(voc, "c", object_xml(*CAT), color=(0, 0, 0))
    write_set(voc, "test", ["a", "c"])
    assert names(voc, "test") == ["a", "c"]
    assert "also trained on, which flatters the mAP: 1 (a.jpg)" in capsys.readouterr().out


def test_a_copy_in_the_other_split_is_told(voc, capsys):
    assert names(voc, "test") == ["c"]
    assert "also trained on, which flatters the mAP: 1 (c.jpg)" in capsys.readouterr().out
    assert check.main([str(voc)]) == 0
    told = f"note: {voc}/JPEGImages/c.jpg: is also trained on, as b.jpg"
    assert told in capsys.readouterr().out


def test_the_folders_own_val_set(voc):
    """Beside train and test it is for choosing; without test it is measured on."""

    def for_choosing():
        return [
            record.image.stem for record in read_data(voc, "trainval").records if record.validation
        ]

    write_set(voc, "trainval", ["a", "b"])
    assert for_choosing() == []
    write_set(voc, "val", ["b"])
    assert for_choosing() == ["b"]
    (voc / "ImageSets/Main/trainval.txt").unlink()
    write_set(voc, "train", ["a"])
    assert for_choosing() == ["b"]
    (voc / "ImageSets/Main/test.txt").unlink()
    assert (names(voc, "trainval"), names(voc, "test"), for_choosing()) == (["a"], ["b"], [])


def make_set_folders(root, **sets):
    """As Roboflow exports VOC: each image beside its annotation."""
    for name, ids in sets.items():
        for id_ in ids:
            path = add_image(root / name, id_, object_xml(*CAT))
            path.rename(root / name / path.name)
            (root / name / f"Annotations/{id_}.xml").rename(root / name / f"{id_}.xml")
        for empty in ("JPEGImages", "Annotations"):
            (root / name / empty).rmdir()
    return root


def test_a_folder_for_each_set(tmp_path):
    make_set_folders(tmp_path, train=["a", "b"], valid=["c"], test=["d"])
    assert names(tmp_path, "trainval") == ["a", "b", "c"]
    assert names(tmp_path, "test") == ["d"]
    assert find_faults(tmp_path) == []


def test_a_folder_for_each_set_below_images(tmp_path):
    make_set_folders(tmp_path / "images", train=["a", "b"], test=["d"])
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["d"])


def test_annotations_beside_the_folders_are_told(tmp_path, capsys):
    make_set_folders(tmp_path, train=["a", "b"], test=["c"], more=["d"])
    assert names(tmp_path, "trainval") == ["a", "b"]
    told = capsys.readouterr().out
    for name in ("d.xml", "d.jpg"):
        kind = "annotations" if name.endswith("xml") else "images"
        assert f"{kind} outside the folders that are read, left out: 1 ({name})" in told


def test_folders_without_test(tmp_path, capsys):
    make_set_folders(tmp_path, Train=["a", "b"], Valid=["c"])
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["c"])
    assert "trained on train, measured on val" in capsys.readouterr().out


def test_a_folder_for_training_alone(tmp_path):
    make_set_folders(tmp_path, train=["a", "b", "c"])
    only_fault(tmp_path, "test", "no such folder with annotations", "or give train itself")
    assert len(names(tmp_path / "train", "test")) == 1


def test_what_lies_in_a_folder_by_chance(tmp_path, capsys):
    make_set_folders(tmp_path, train=["a", "b"], test=["c"])
    (tmp_path / "train/._a.xml").write_bytes(b"\0\5\26\7")
    (tmp_path / "train/.ipynb_checkpoints").mkdir()
    (tmp_path / "train/.ipynb_checkpoints/b.xml").write_text("old")
    (tmp_path / "train/b.xml").rename(tmp_path / "train/x.xml")
    only_fault(tmp_path, "x", "no image of this name")
    (tmp_path / "train/x.xml").unlink()
    assert names(tmp_path, "trainval") == ["a"]
    assert "images without an annotation left out: 1 (b.jpg)" in capsys.readouterr().out


@pytest.mark.parametrize("flat", [False, True])
def test_without_lists_a_fifth_is_drawn(tmp_path, capsys, flat):
    ids = [f"{i:02}" for i in range(20)]
    if flat:
        make_set_folders(tmp_path, data=ids)
        tmp_path = tmp_path / "data"
    else:
        make_voc(tmp_path, ids, None)
        (tmp_path / "ImageSets/Main/trainval.txt").unlink()
    trainval, test = names(tmp_path, "trainval"), names(tmp_path, "test")
    assert (len(trainval), len(test)) == (16, 4)
    assert sorted(trainval + test) == ids
    assert (trainval, test) == (sorted(trainval), sorted(test))
    assert "the test set is 4 of the 20 images, drawn at random" in capsys.readouterr().out
    assert names(tmp_path, "test") == test


def test_one_image_is_not_enough_to_draw_from(tmp_path):
    make_set_folders(tmp_path, data=["a"])
    only_fault(tmp_path / "data", "data", "the test split has no image")


def test_draw_test_takes_a_fifth():
    trainval, test, _ = draw_test(range(1000), [["a"]] * 1000)
    assert len(test) == 200
    assert sorted(trainval + test) == list(range(1000))
    assert abs(np.mean(test) - 499.5) < 60  # from all over, three standard errors


def test_a_drawn_test_has_every_class_that_is_on_two_images():
    """Sorted by class, as sets are exported, with classes that are on two images, and on one."""
    classes = [[f"{i // 96}"] for i in range(960)] + [["two"]] * 2 + [["one", "0"]]
    items = range(len(classes))
    trainval, test, _ = draw_test(items, classes)
    assert len(test) == 193 and sorted(trainval + test) == list(items)
    trained, tested = ({name for i in split for name in classes[i]} for split in (trainval, test))
    assert trained == {*"0123456789", "one", "two"} and tested == trained - {"one"}
    assert draw_test(items, classes)[1] == test
    # Where there are too few images, there is a test set still.
    assert len(draw_test(range(5), "abcde")[1]) == 1


# Samples


def test_a_sample_is_drawn_from_the_whole_list():
    items = list(range(1000))
    sample = draw_sample(items, [["a"]] * 1000, 100, 0)
    assert len(sample) == 100 and sample == sorted(sample)
    assert abs(np.mean(sample) - 499.5) < 87
    assert sample == draw_sample(items, [["a"]] * 1000, 100, 0)
    assert sample != draw_sample(items, [["a"]] * 1000, 100, 1)


def test_a_sample_has_every_class_that_there_is_room_for():
    """Sorted by class, as sets are exported: the first hundred have one class."""
    classes = [[f"{i // 100}"] for i in range(1000)] + [["rare"]]
    for seed in range(20):
        sample = draw_sample(range(1001), classes, 15, seed)
        assert len(sample) == 15
        assert {name for i in sample for name in classes[i]} == {*"0123456789", "rare"}
    rare = draw_sample(range(1001), classes, 3, 0)
    assert len(rare) == 3 and 1000 in rare


def test_a_limit_that_does_not_bite_changes_nothing():
    assert draw_sample("cab", ["", "", ""], 3, 0) == list("cab")
    assert draw_sample("cab", ["", "", ""], None, 0) == list("cab")


def test_the_sample_of_a_folder_is_always_the_same(tmp_path):
    make_voc(tmp_path, [f"{i:03}" for i in range(60)], ["t"])
    stems = [record.image.stem for record in read_data(tmp_path, "trainval", 10).records]
    assert stems == ["004", "008", "016", "020", "027", "034", "042", "051", "052", "057"]


def test_difficult_and_empty_objects_do_not_stand_for_their_class(tmp_path):
    make_voc(tmp_path, [f"{i:02}" for i in range(20)], ["t"])
    for i, objects in enumerate(
        [[object_xml("dog", 1, 1, 9, 9, difficult=1)]] * 15 + [[object_xml("dog", 1, 1, 9, 9)]]
    ):
        add_image(tmp_path, f"{i:02}", *objects)
    split = read_data(tmp_path, "trainval", 2)
    dogs = [record.image.stem for record in split.records if 2 in record.labels]
    assert "15" in dogs


def test_classes_without_objects_are_told(voc, capsys):
    (voc / "label_list").write_text("cat\ndog\nzebra\n")
    add_image(voc, "b", object_xml("dog", 1, 1, 20, 20))
    add_image(voc, "c", object_xml(*CAT), object_xml("dog", 1, 1, 9, 9, difficult=1))
    read_data(voc, "trainval")
    assert "no object of trainval is of class zebra: cannot be learned" in capsys.readouterr().out
    read_data(voc, "test")
    assert (
        "no object of test is of class dog, zebra: not measured, left out of the mAP"
        in capsys.readouterr().out
    )
