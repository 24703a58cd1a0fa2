"""Which files of a COCO folder are read, and what no file lists."""

import pytest

from ssd_model.data.folder import read_data
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.helpers.voc_folder import names, only_fault


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


def test_a_file_that_may_be_of_the_missing_set_is_named(tmp_path):
    coco = make_coco(tmp_path)
    (coco / "annotations/instances_train2017.json").rename(coco / "annotations/minitrain.json")
    words = (
        "no annotations of a train set",
        "or, if annotations/minitrain.json is that file, rename it",
    )
    only_fault(coco, coco.name, *words)


def test_an_address_counts_where_no_file_is_named(tmp_path):
    """As in LVIS."""
    content = coco_content("abcde")
    for image in content["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/train2017/{image.pop('file_name')}"
    add_images(tmp_path / "train2017", "abcde")
    write_coco(tmp_path / "lvis_v1.json", content)
    assert sorted(names(tmp_path, "trainval") + names(tmp_path, "test")) == [*"abcde"]


@pytest.mark.parametrize("stem", ["p#1", "p?1", "p%201", "p#1%20"])
@pytest.mark.parametrize("start", ["s3://bucket/x", "/data/local-files/?d=x"])
def test_marks_of_an_address_in_the_name_itself(tmp_path, stem, start):
    content = coco_content([f"{start}/{name}" for name in (stem, *"bcde")])
    write_coco(tmp_path / "result.json", content)
    add_images(tmp_path / "images", [stem, *"bcde", "p", "p 1"])
    found = names(tmp_path, "trainval") + names(tmp_path, "test")
    assert sorted(found) == sorted([stem, *"bcde"])


def test_a_missing_image_at_an_address_is_not_replaced(tmp_path):
    content = coco_content([f"s3://bucket/{name}" for name in ("p#1", *"bcde")])
    write_coco(tmp_path / "result.json", content)
    add_images(tmp_path / "images", [*"bcde", "p"])
    only_fault(tmp_path, "result.json", "no image 'p#1.jpg' in")


@pytest.mark.parametrize("end", ["?from=/x/b.jpg", "?to=https%3A%2F%2Fo%2Fb.jpg", "#/b.jpg"])
def test_what_ends_the_query_of_an_address_is_not_the_image(tmp_path, end):
    content = coco_content("abcde")
    content["images"][0]["file_name"] = f"https://host/p/a.jpg{end}"
    del content["images"][1]
    write_coco(tmp_path / "result.json", content)
    add_images(tmp_path / "images", "abcde")
    found = names(tmp_path, "trainval") + names(tmp_path, "test")
    assert sorted(found) == [*"acde"]


def test_a_folder_of_coco_files_without_images_is_not_suggested(tmp_path):
    add_images(tmp_path / "train/images", "abcde")
    write_coco(tmp_path / "labels/train.json", coco_content("abcde"))
    only_fault(tmp_path, tmp_path.name, "labels/train.json is in JSON", "not in annotations/")
