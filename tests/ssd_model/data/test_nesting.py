"""Images and annotations that are not side by side: in a folder more, in sets, or among strays."""

import shutil

import pytest

from ssd_model.data.folder import find_faults, read_data
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.helpers.voc_folder import CAT, add_image, make_voc, object_xml, only_fault, write_set


def names(folder, split):
    return sorted(record.image.stem for record in read_data(folder, split).records)


def place(root, stem, images, annotations):
    """Put an image and its annotation into folders of `root`; each image differs from the rest."""
    image = add_image(root, stem, object_xml(*CAT), color=(ord(stem[-1]), 0, 0))
    for path, folder in ((image, images), (root / f"Annotations/{stem}.xml", annotations)):
        if folder:
            (root / folder).mkdir(parents=True, exist_ok=True)
            path.rename(root / folder / path.name)
        else:
            path.unlink()
    for empty in ("JPEGImages", "Annotations"):
        if not any((root / empty).iterdir()):
            (root / empty).rmdir()


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
    image = voc / "JPEGImages/a.jpg"
    image.with_suffix(".png").write_bytes(image.read_bytes())
    write_set(voc, "test", ["a.png"])
    write_set(voc, "trainval", ["a.jpg", "b"])
    only_fault(voc, "a.xml", "JPEGImages/a.jpg and JPEGImages/a.png share it; give each its own")


def test_an_annotation_is_not_taken_from_another_image(voc):
    """sub/a.jpg lacks its annotation, and a.xml is that of a.jpg."""
    (voc / "JPEGImages/sub").mkdir()
    shutil.copy(voc / "JPEGImages/b.jpg", voc / "JPEGImages/sub/a.jpg")
    write_set(voc, "trainval", ["b", "sub/a"])
    only_fault(voc, "a.xml", "no such annotation file")


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
    told = "extra/_annotations.coco.json is not read: train/_annotations.coco.json is"
    assert told in capsys.readouterr().out


def test_coco_beside_voc_is_told(voc, capsys):
    write_coco(voc / "instances_train.json", coco_content(["a"]))
    names(voc, "trainval")
    assert "VOC annotations are read, not COCO's in instances_train.json" in capsys.readouterr().out


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
    assert "no image 'b.jpg' in the folders" in fault.what
    write_coco(coco / "annotations/instances.json", coco_content(["b"]))
    for year in ("annotations/instances_train2017.json", "annotations/instances_val2017.json"):
        (coco / year).unlink()
    add_images(coco / "train2017", ["b"])
    (fault,) = [each for each in find_faults(coco) if "more than one" in each.what]
    assert "train2017/b.jpg, val2017/b.jpg; keep one" in fault.what


def test_a_single_coco_file_whose_name_names_a_set(tmp_path):
    add_images(tmp_path / "train", "abcde")
    path = write_coco(tmp_path / "annotations/my_test_train.json", coco_content("abcde"))
    (fault,) = find_faults(tmp_path)
    assert "rename my_test_train.json so that it names no set" in fault.what
    path.rename(path.with_name("mine.json"))
    assert len(names(tmp_path, "trainval") + names(tmp_path, "test")) == 5
