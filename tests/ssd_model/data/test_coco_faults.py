"""Every fault of a COCO folder, by its file."""

import os

import pytest

from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.ssd_model.data.test_coco import change

TRAIN = "instances_train2017.json"


@pytest.fixture
def coco(tmp_path):
    return make_coco(tmp_path / "coco")


def only_fault(folder, name, *words):
    faults = find_faults(folder)
    assert len(faults) == 1, [str(fault) for fault in faults]
    assert faults[0].path.name == name
    for word in words:
        assert word in faults[0].what
    with pytest.raises(DataError, match="make check-data"):
        for split in ("trainval", "test"):
            read_data(folder, split)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("bbox", None, ["annotation 1 (cat)", "no bbox"]),
        ("bbox", [], ["annotation 1 (cat)", "bbox is [], want four"]),
        ("bbox", [1, 2, 3], ["bbox is [1, 2, 3], want four"]),
        ("bbox", [1, 2, 3, "4"], ["bbox is [1, 2, 3, '4'], want four finite numbers"]),
        ("bbox", [1, 2, 3, float("nan")], ["bbox is [1, 2, 3, nan], want"]),
        ("bbox", [1, 2, float("inf"), 4], ["bbox is [1, 2, inf, 4], want"]),
        ("bbox", [True, 2, 3, 4], ["bbox is [True, 2, 3, 4], want"]),
        ("bbox", {"x": 1}, ["bbox is {'x': 1}, want four"]),
        ("iscrowd", 2, ["annotation 1 (cat): iscrowd is 2, want 0 or 1"]),
        ("ignore", "some", ["annotation 1 (cat): ignore is 'some', want 0 or 1"]),
        ("attributes", {"difficult": [1]}, ["attributes.difficult is [1], want 0 or 1"]),
        ("rotation", 30, ["annotation 1 (cat): rotated by 30 degrees; export upright boxes"]),
        ("category_id", 9, ["annotation 1", "no category has the id 9"]),
        ("category_id", "01", ["no category has the id '01'"]),
    ],
)
def test_faults_of_an_object(coco, key, value, words):
    change(coco, lambda content: content["annotations"][0].update({key: value}))
    only_fault(coco, "a.jpg", *words)


@pytest.mark.parametrize(("width", "told"), [("100", ""), (None, ""), (True, "True"), ("x", "'x'")])
def test_the_size_of_an_image_may_be_a_text(coco, width, told):
    change(coco, lambda content: content["images"][0].update(width=width))
    faults = [fault.what for fault in find_faults(coco)]
    assert faults == ([f"its width is {told}, want a number of pixels"] if told else [])


def test_an_outline_without_a_box(coco):
    def edit(content):
        content["annotations"][0]["segmentation"] = [[1, 1, 9, 1, 9, 9]]
        del content["annotations"][0]["bbox"]

    change(coco, edit)
    only_fault(coco, "a.jpg", "no bbox", "but a segmentation; export boxes")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: c.pop("annotations"), ["it has no annotations"]),
        (lambda c: c.update(images={"a": 1}), ["no list of images"]),
        (lambda c: c["images"][0].pop("file_name"), ["number 0 of images has no id or no file"]),
        (lambda c: c["images"].append(7), ["number 2 of images"]),
        (lambda c: c["images"][1].update(id=1), ["images: the id 1 occurs twice"]),
        (lambda c: c["images"][1].update(id="1"), ["images: the id 1 occurs twice"]),
        (lambda c: c["images"][1].update(id=[1]), ["number 1 of images"]),
        (lambda c: c["categories"][0].pop("name"), ["number 0 of categories"]),
        (lambda c: c["categories"].append(c["categories"][0]), ["categories: the id 1 occurs"]),
        (lambda c: c["categories"][0].update(name="a\x1bb"), ["category 1", "control characters"]),
        (lambda c: c["categories"][0].update(name=" "), ["category 1", "is empty"]),
        (lambda c: c["annotations"][0].pop("image_id"), ["number 0 of annotations"]),
        (lambda c: c["annotations"].append(None), ["number 2 of annotations"]),
        (lambda c: c["categories"][0].update(name="background"), ["'background'"]),
        (lambda c: c["images"][0].update(file_name="b/../a.jpg"), ["'b/../a.jpg' is not a name"]),
        (lambda c: c["images"][0].update(file_name="/etc/x.jpg"), ["no image 'etc/x.jpg'"]),
        (lambda c: c["images"][0].update(file_name="C:a.jpg"), ["is not a name inside"]),
        (
            lambda c: [found.update(image_id="x") for found in c["annotations"]],
            ["2 of its 2 annotations", "image_id, such as 'x', while an image has the id 1;"],
        ),
        (
            lambda c: c["images"].clear(),
            ["have no image of their image_id, such as 1, for it lists no image; correct them"],
        ),
        (lambda c: c["images"][0].update(file_name=""), ["'' is not a name inside"]),
        (lambda c: c["images"][0].update(file_name="a\0.jpg"), ["is not a name inside"]),
        (
            lambda c: c["images"][0].update(file_name="x.jpg"),
            ["no image 'x.jpg' in coco/train2017"],
        ),
        (
            lambda c: c["images"][1].update(file_name="x/a.jpg"),
            ["images 1 and 2: a.jpg and x/a.jpg are the same file; keep one"],
        ),
        (
            lambda c: c["images"][1].update(file_name="a.jpg"),
            ["images 1 and 2 are both a.jpg: give their annotations one image_id, and keep one"],
        ),
    ],
)
def test_faults_of_a_file(coco, edit, words):
    change(coco, edit)
    faults = [fault for fault in find_faults(coco) if fault.path.name == TRAIN]
    assert faults, [str(fault) for fault in find_faults(coco)]
    for word in words:
        assert any(word in fault.what for fault in faults), [str(fault) for fault in faults]


@pytest.mark.parametrize("id_", [1, 2])
def test_a_background_among_annotations_of_one_id(coco, id_):
    def edit(content):
        content["categories"].append({"id": 2, "name": "background"})
        content["annotations"][id_ - 1]["category_id"] = 2
        for found in content["annotations"]:
            found["id"] = 0

    change(coco, edit)
    only_fault(coco, TRAIN, "a category is named 'background'")


def test_only_the_file_with_a_background_is_told(coco):
    change(coco, lambda c: c["categories"][0].update(name="background"))
    assert [fault.path.name for fault in find_faults(coco)] == [TRAIN]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not well-formed JSON"),
        ('{"images": [', "not well-formed JSON"),
        ("[]", "no list of images"),
        ("[" * 100_000, "not well-formed JSON"),
        ('{"images": ' + "9" * 10_000 + "}", "not well-formed JSON"),
        ("\ufeff\ufeff{}", "not well-formed JSON"),
    ],
)
def test_files_that_are_no_json(coco, text, word):
    (coco / f"annotations/{TRAIN}").write_text(text)
    only_fault(coco, TRAIN, word)


def test_a_file_in_another_encoding(coco):
    (coco / f"annotations/{TRAIN}").write_bytes(b'{"images": "\xe9"}')
    only_fault(coco, TRAIN, "not well-formed JSON")


def test_annotations_of_images_that_are_not_listed_are_told(coco, capsys):
    change(coco, lambda content: content["images"].pop())
    assert len(read_data(coco, "trainval").records) == 1
    told = f"annotations of images that {TRAIN} does not list, left out: 1"
    assert told in capsys.readouterr().out


def test_annotations_without_an_image_are_blamed_only_on_their_own_file(coco):
    change(coco, lambda content: content["annotations"][1].update(image_id=99))
    content = coco_content("c", first=3)
    write_coco(coco / "annotations/instances_val2017.json", content | {"annotations": []})
    assert TRAIN not in {fault.path.name for fault in find_faults(coco)}


def test_ids_of_annotations_may_be_missing_or_occur_twice(coco):
    def edit(content):
        content["annotations"][0]["id"] = content["annotations"][1]["id"] = 0
        content["annotations"].append(
            {**content["annotations"][0], "id": None, "bbox": [1, 1, 9, 9]}
        )

    change(coco, edit)
    assert [len(record.labels) for record in read_data(coco, "trainval").records] == [2, 1]


def test_ids_may_be_numbers_in_one_place_and_texts_in_the_other(coco):
    """As VIA writes them."""

    def edit(content):
        for found in content["annotations"]:
            found.update(image_id=str(found["image_id"]), category_id="1")

    change(coco, edit)
    assert [len(record.labels) for record in read_data(coco, "trainval").records] == [1, 1]


def test_another_size_than_the_image(coco):
    change(coco, lambda content: content["images"][0].update(width=50, height=100))
    only_fault(coco, "a.jpg", "its size is 50x100", "100x50")


def test_too_many_objects(coco):
    change(coco, lambda content: content.update(annotations=content["annotations"] * 1001))
    assert {fault.path.name for fault in find_faults(coco)} == {"a.jpg", "b.jpg"}


def test_a_broken_image(coco):
    (coco / "train2017/b.jpg").write_bytes(b"no image")
    only_fault(coco, "b.jpg", "not a readable JPEG")


def test_two_files_for_one_set(coco):
    write_coco(coco / "annotations/instances_train2014.json", coco_content(["x"]))
    only_fault(coco, "coco", "more than one file for train", "instances_train2014.json")


def test_no_set_to_measure_on(coco):
    (coco / "annotations/instances_val2017.json").unlink()
    only_fault(coco, "coco", "no annotations of a test set", "; write them")


@pytest.mark.parametrize("name", ["train2017/a.jpg", f"annotations/{TRAIN}", "annotations"])
def test_links_must_stay_inside(coco, tmp_path, name):
    outside = tmp_path / "outside"
    (coco / name).rename(outside)
    (coco / name).symlink_to(outside, target_is_directory=outside.is_dir())
    assert any("leads outside" in fault.what for fault in find_faults(coco))


def test_a_pipe_and_a_giant_are_not_read(coco):
    path = coco / f"annotations/{TRAIN}"
    path.unlink()
    os.mkfifo(path)
    only_fault(coco, TRAIN, "not a regular file")
    path.unlink()
    with path.open("w") as file:
        file.truncate(10**10)
    only_fault(coco, TRAIN, "10,000,000,000 bytes, above the limit")


def test_what_was_looked_for_is_said(tmp_path):
    only_fault(tmp_path, tmp_path.name, "no VOC or COCO data here", "instances_*.json")


def test_add_images_of_another_folder_are_left_alone(coco):
    add_images(coco / "unlabeled2017", ["z"])
    assert find_faults(coco) == []
