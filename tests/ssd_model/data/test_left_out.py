"""What is not used is told: test images without their truth, and strays."""

import shutil

import pytest

from ssd_model.data.folder import find_faults
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

# Test images without their truth, as in competitions


@pytest.mark.parametrize("annotations", ["annotations/{}", "annotations"])
def test_folders_of_test_images_without_annotations(tmp_path, capsys, annotations):
    for stem, name in (("a", "train"), ("b", "train"), ("c", "val")):
        place(tmp_path, stem, f"images/{name}", annotations.format(name))
    place(tmp_path, "d", "images/test", "")
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["c"])
    told = capsys.readouterr().out
    assert "measured on val" in told
    assert "left out: 1 (d.jpg)" in told


def test_a_folder_of_test_images_beside_one_to_train_on(tmp_path, capsys):
    for stem in "abcde":
        place(tmp_path, stem, "images/train", "annotations")
    place(tmp_path, "f", "images/test", "")
    assert len(names(tmp_path, "trainval") + names(tmp_path, "test")) == 5
    told = capsys.readouterr().out
    assert "images without an annotation left out: 1 (f.jpg)" in told
    assert "folders named train are not used as sets" in told


def test_a_list_of_test_images_without_annotations(voc, capsys):
    """VOC2012's test images, unpacked into the same folder as the others."""
    write_set(voc, "train", ["a"])
    write_set(voc, "val", ["b"])
    (voc / "Annotations/c.xml").unlink()
    assert (names(voc, "trainval"), names(voc, "test")) == (["a"], ["b"])
    told = f"test list in {voc / 'ImageSets/Main'} is not used: its images have no annotation"
    assert told in capsys.readouterr().out
    write_set(voc, "test", ["c", "d"])
    assert [fault.path.name for fault in find_faults(voc)] == ["c.xml", "test.txt"]


@pytest.mark.parametrize("content", ["", "\n", "\ufeff\r\n"])
def test_an_empty_list_of_test_images(voc, capsys, content):
    """As the split script of YOLOv5 users writes it."""
    write_set(voc, "train", ["a"])
    write_set(voc, "val", ["b"])
    (voc / "ImageSets/Main/test.txt").write_text(content)
    assert (names(voc, "trainval"), names(voc, "test")) == (["a"], ["b"])
    told = capsys.readouterr().out
    assert "ImageSets/Main/test.txt names no image and is not used" in told
    assert "measured on val" in told


@pytest.mark.parametrize("edit", ["no key", "no annotations", "no images"])
def test_a_coco_file_of_test_images_without_annotations(tmp_path, capsys, edit):
    coco = make_coco(tmp_path)
    add_images(coco / "test2017", ["d"])
    content = coco_content(["d"], 201)
    del content["annotations"]
    if edit != "no key":
        content["annotations"] = []
    if edit == "no images":
        content["images"] = []
    write_coco(coco / "annotations/instances_test2017.json", content)
    assert (names(coco, "trainval"), names(coco, "test")) == (["a", "b"], ["c"])
    told = capsys.readouterr().out
    assert "annotations/instances_test2017.json has no annotations and is not used" in told


# Strays


def test_a_stray_image_with_an_annotation_among_those_of_all_sets(tmp_path, capsys):
    for stem, folder in (("a", "train"), ("b", "train"), ("c", "test"), ("d", "extra"), ("e", "")):
        place(tmp_path, stem, f"images/{folder}", "annotations")
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["c"])
    told = "images outside the folders that are read, left out: 2 (e.jpg, d.jpg)"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("name", [".f.jpg", ".cam/f.jpg"])
def test_hidden_images_are_told(tmp_path, capsys, name):
    for stem in "abcde":
        place(tmp_path, stem, "images", "annotations")
    for path in (name, "._a.jpg", ".thumbnails/a.jpg"):
        (tmp_path / "images" / path).parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "images/a.jpg", tmp_path / "images" / path)
    assert sorted(names(tmp_path, "trainval") + names(tmp_path, "test")) == [*"abcde"]
    told = "hidden images, with a dot before their name or their folder's, left out: 1 "
    assert f"{told}({name.split('/')[-1]})" in capsys.readouterr().out


def test_a_hidden_image_that_is_listed_is_read(voc, capsys):
    add_image(voc, ".f", object_xml(*CAT))
    write_set(voc, "trainval", ["a", ".f"])
    assert names(voc, "trainval") == [".f", "a"]
    assert "hidden" not in capsys.readouterr().out


@pytest.mark.parametrize("stray", ["images/overview.jpg", "images/rest/overview.jpg"])
def test_a_stray_image_leaves_the_sets_as_they_are(tmp_path, capsys, stray):
    for stem, name in (("a", "train"), ("b", "train"), ("c", "test")):
        place(tmp_path, stem, f"images/{name}", f"annotations/{name}")
    (tmp_path / stray).parent.mkdir(exist_ok=True)
    shutil.copy(tmp_path / "images/train/a.jpg", tmp_path / stray)
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a", "b"], ["c"])
    told = "images outside the folders that are read, left out: 1 (overview.jpg)"
    assert told in capsys.readouterr().out


def test_annotations_elsewhere_are_told(tmp_path, capsys):
    for stem in "abcde":
        place(tmp_path, stem, "images", "annotations")
    place(tmp_path, "f", "test/images", "test/annotations")
    assert len(names(tmp_path, "trainval") + names(tmp_path, "test")) == 5
    told = "annotations outside the folders that are read, left out: 1 (f.xml)"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("lines", ["x 1\ny 1\n", "x.tif 1\n", "../../x 1\n", "x.jpg\n", "x\ny\n"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_list_of_a_class_that_names_no_image_is_not_passed_over(voc, split, lines):
    shutil.rmtree(voc / "ImageSets")
    for class_ in ("cat", "dog"):
        (voc / f"{class_}_train.txt").write_text("a 1\nb 1\n")
        (voc / f"{class_}_val.txt").write_text("c 1\n")
    (voc / f"dog_{split}.txt").write_text(lines)
    faults = find_faults(voc)
    assert {fault.path.name for fault in faults} == {f"dog_{split}.txt"}
    assert len(faults) == len(lines.splitlines())


def test_texts_that_are_named_as_lists_of_a_class_are_told(voc, capsys):
    shutil.rmtree(voc / "ImageSets")
    for name in ("notes_test.txt", "notes_train.txt"):
        (voc / name).write_text("Seen from the bridge.\n\nIn rain.\n")
    assert sorted(names(voc, "trainval") + names(voc, "test")) == [*"abc"]
    told = capsys.readouterr().out
    assert "notes_test.txt names no image and is not used" in told
    assert "notes_train.txt names no image and is not used" in told
    assert "drawn at random" in told
    (voc / "cat_train.txt").write_text("a 1\nb 1\n")
    (voc / "cat_val.txt").write_text("c 1\n")
    assert (names(voc, "trainval"), names(voc, "test")) == (["a", "b"], ["c"])


@pytest.mark.parametrize("folder", ["annotations", "images", "ImageSets/Segmentation"])
def test_lists_in_other_places_are_told(tmp_path, capsys, folder):
    for stem in "abcde":
        place(tmp_path, stem, "images", "annotations")
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "test.txt").write_text("a\n")
    names(tmp_path, "trainval")
    told = f"lists in {tmp_path / folder} are not read: put them into {tmp_path}"
    assert told in capsys.readouterr().out


def test_lists_beside_folders_of_sets_are_told(tmp_path, capsys):
    for stem, name in (("a", "train"), ("b", "train"), ("c", "test")):
        place(tmp_path, stem, name, name)
    (tmp_path / "train.txt").write_text("a\n")
    assert names(tmp_path, "trainval") == ["a", "b"]
    told = f"lists in {tmp_path} are not read: the folders say which images are which"
    assert told in capsys.readouterr().out


def test_coco_files_that_are_not_read_are_told(tmp_path, capsys):
    for name, stem in (("train", "a"), ("valid", "b"), ("extra", "c")):
        add_images(tmp_path / name, [stem])
        write_coco(tmp_path / name / "_annotations.coco.json", coco_content([stem]))
    assert (names(tmp_path, "trainval"), names(tmp_path, "test")) == (["a"], ["b"])
    told = "other COCO files are not read: extra/_annotations.coco.json"
    assert told in capsys.readouterr().out


def test_coco_beside_voc_is_told(voc, capsys):
    write_coco(voc / "instances_train.json", coco_content(["a"]))
    names(voc, "trainval")
    assert "VOC annotations are read, not COCO's in instances_train.json" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "refused"), [(6, False), (7, True)])
def test_at_most_half_of_the_annotations_may_be_of_other_images(tmp_path, count, refused):
    content = coco_content([f"{i:02}" for i in range(12)])
    for found in content["annotations"][:count]:
        found["image_id"] = f"0{found['image_id']}"
    add_images(tmp_path / "images", [f"{i:02}" for i in range(12)])
    path = write_coco(tmp_path / "instances_default.json", content)
    told = f"{path}: 7 of its 12 annotations have no image of their image_id, such as '01', while"
    faults = [*map(str, find_faults(tmp_path))]
    assert faults == ([f"{told} an image has the id 1; correct them"] if refused else [])


def test_why_a_test_set_that_is_drawn_has_no_object_is_said(tmp_path):
    content = coco_content("abcde")
    add_images(tmp_path, "abcde")
    content["annotations"] = content["annotations"][:2]
    content["annotations"][1]["image_id"] = "02"
    path = write_coco(tmp_path / "labels.json", content)
    told = "annotations of images that labels.json does not list, left out: 1; correct"
    only_fault(tmp_path, path.name, f"the test split has no object, and there are {told}")
