"""Nothing takes the place of another: no image, no set, no class; and a sample judges as all do."""

import shutil

import pytest
from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data
from ssd_model.data.text import class_name
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.helpers.voc_folder import (
    CAT,
    add_image,
    annotation_xml,
    make_voc,
    names,
    object_xml,
    only_fault,
    place,
    write_set,
    write_xml,
)

# Images


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


# Sets


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


# Classes


@pytest.mark.parametrize("name", ["\ufeffcat", "cat\u200b", " \u200e cat\u00ad"])
def test_marks_around_a_name_do_not_make_another_class(voc, name):
    write_xml(voc, object_xml(name, *CAT[1:]))
    assert read_data(voc, "trainval").classes == ("cat",)


@pytest.mark.parametrize("name", ["c\u200bat", "ca\u00adt"])
def test_classes_that_differ_in_what_is_not_seen_are_told(voc, capsys, name):
    write_xml(voc, object_xml(name, *CAT[1:]))
    assert len(read_data(voc, "trainval").classes) == 2
    assert f"{name.encode('unicode_escape').decode()} look alike" in capsys.readouterr().out


def test_a_long_run_of_blanks_takes_no_time():
    assert len(class_name("a" + " " * 1_000_000 + "b")) == 1_000_002


def test_classes_that_differ_in_blanks_are_told(voc, capsys):
    write_xml(voc, object_xml("stop  sign", *CAT[1:]), object_xml("stop sign", *CAT[1:]))
    assert "cat" in read_data(voc, "trainval").classes
    assert "stop  sign and stop sign look alike" in capsys.readouterr().out


# Boxes, and what a sample says of them


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
    for seed in range(4):
        records = read_data(tmp_path, "trainval", 4, seed).records
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


# COCO's files


def test_images_that_no_coco_file_lists_are_told_wherever_they_are(tmp_path, capsys):
    coco = make_coco(tmp_path)
    add_images(coco / "test2017", "xyz")
    read_data(coco, "trainval")
    told = "images that no COCO file in use lists, left out: 3 (x.jpg, y.jpg, z.jpg)"
    assert told in capsys.readouterr().out


def test_files_of_keypoints_are_read_if_there_are_no_others(tmp_path, capsys):
    coco = make_coco(tmp_path)
    for path in list((coco / "annotations").iterdir()):
        other = path.with_name(path.name.replace("instances", "person_keypoints"))
        other.write_bytes(path.read_bytes())
    assert len(read_data(coco, "trainval").records) == 2
    assert "keypoints" not in capsys.readouterr().out
    for path in (coco / "annotations").glob("instances*"):
        path.unlink()
    assert len(read_data(coco, "trainval").records) == 2


@pytest.mark.parametrize("name", ["captions.json", "panoptic-1.json", "person_keypoints.json"])
def test_other_coco_files_beside_the_one_that_is_read(tmp_path, name):
    add_images(tmp_path / "images", "abcde")
    for each in (name, "annotations.json"):
        write_coco(tmp_path / "annotations" / each, coco_content("abcde"))
    assert len(read_data(tmp_path, "trainval").records) == 4


@pytest.mark.parametrize("name", ["INSTANCES_DEFAULT.JSON", "captions of cats.json"])
def test_names_of_coco_files(tmp_path, name):
    add_images(tmp_path / "images", "abcde")
    write_coco(tmp_path / "annotations" / name, coco_content("abcde"))
    assert len(read_data(tmp_path, "trainval").records) == 4


def test_a_folder_of_coco_files_without_images_is_not_suggested(tmp_path):
    add_images(tmp_path / "train/images", "abcde")
    write_coco(tmp_path / "labels/train.json", coco_content("abcde"))
    only_fault(tmp_path, tmp_path.name, "labels/train.json is in JSON", "not in annotations/")
