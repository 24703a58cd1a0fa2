"""Reading COCO folders: their forms, images, categories, objects."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from ssd_model.data import check
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.coco_folder import add_images, coco_content, make_coco, write_coco
from tests.helpers.voc_folder import CAT, add_image, object_xml


@pytest.fixture
def coco(tmp_path):
    return make_coco(tmp_path / "coco")


def change(folder, edit, name="train2017"):
    """Change the content of a file of annotations."""
    path = folder / f"annotations/instances_{name}.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def names(folder, split="trainval"):
    return [record.image.name for record in read_data(folder, split).records]


# Records


def test_record(coco):
    def edit(content):
        content["categories"].append({"id": 5, "name": "dog"})
        dog = {"id": 7, "image_id": 1, "category_id": 5, "bbox": [0, 0, 25.5, 50], "iscrowd": 1}
        content["annotations"].append(dog)

    change(coco, edit)
    split = read_data(coco, "trainval")
    record = split.records[0]
    assert (split.name, split.classes) == ("trainval", ("cat", "dog"))
    assert (record.image, record.width, record.height) == (coco / "train2017/a.jpg", 100, 50)
    want = np.array([[0.1, 0.1, 0.6, 0.9], [0, 0, 0.255, 1]], np.float32)
    np.testing.assert_array_equal(record.boxes, want)
    assert (record.boxes.dtype, record.labels.dtype) == (np.float32, np.int64)
    assert record.labels.tolist() == [1, 2]
    assert record.difficult.tolist() == [False, True]


def test_boxes_as_pycocotools_reads_them(coco):
    path = coco / "annotations/instances_train2017.json"
    record = read_data(coco, "trainval").records[1]
    api = COCO(path)
    (want,) = api.loadAnns(api.getAnnIds(imgIds=[2]))
    corners = record.boxes[0] * [100, 50, 100, 50]
    np.testing.assert_allclose([*corners[:2], *(corners[2:] - corners[:2])], want["bbox"])


@pytest.mark.parametrize("key", ["iscrowd", "ignore", "difficult"])
@pytest.mark.parametrize("value", [1, True, "1"])
def test_what_is_not_demanded(coco, capsys, key, value):
    change(coco, lambda content: content["annotations"][0].update({key: value}))
    check_first_difficult(coco, capsys)


@pytest.mark.parametrize("values", [(True, False), ("True", "false"), ("yes", "no"), ("1", 0)])
def test_what_is_not_demanded_as_datumaro_writes_it(coco, capsys, values):
    def edit(content):
        for found, value in zip(content["annotations"], values, strict=True):
            found["attributes"] = {"difficult": value, "occluded": True}

    change(coco, edit)
    check_first_difficult(coco, capsys)


def test_what_is_not_demanded_among_annotations_of_one_id(coco, capsys):
    def edit(content):
        for i, found in enumerate(content["annotations"]):
            found.update(id=0, iscrowd="0" if i else "1")

    change(coco, edit)
    check_first_difficult(coco, capsys)


def check_first_difficult(folder, capsys):
    split = read_data(folder, "trainval")
    assert [record.difficult.tolist() for record in split.records] == [[True], [False]]
    told = "crowds and ignored objects, treated as difficult: 1"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("box", [[10, 5, 0, 40], [10, 5, 50, 0], [100, 0, 9, 9], [-9, 0, 9, 9]])
def test_a_stray_click_is_left_out_and_told(coco, capsys, box):
    def edit(content):
        content["annotations"].append({**content["annotations"][0], "id": 9, "bbox": box})

    change(coco, edit)
    assert find_faults(coco) == []
    assert [len(record.labels) for record in read_data(coco, "trainval").records] == [1, 1]
    told = "boxes of trainval left out, empty or outside the image: 1 of 3 (a.jpg)"
    assert told in capsys.readouterr().out
    assert check.main([str(coco)]) == 0
    assert f"note: {coco}/train2017/a.jpg: annotation 9 (cat): box" in capsys.readouterr().out


def test_an_image_without_annotations_is_background(coco):
    change(coco, lambda content: content["annotations"].pop())
    assert [len(record.labels) for record in read_data(coco, "trainval").records] == [1, 0]


def test_the_size_may_be_missing(coco):
    change(coco, lambda content: content["images"][0].pop("width"))
    assert read_data(coco, "trainval").records[0].width == 100


# Categories


def test_categories_by_name_where_their_ids_differ(coco):
    def edit(content):
        content["categories"] = [{"id": 1, "name": "zebra"}, {"id": 90, "name": "cat"}]
        content["annotations"][0]["category_id"] = 90

    change(coco, edit, "val2017")
    trainval, test = read_data(coco, "trainval"), read_data(coco, "test")
    assert trainval.classes == test.classes == ("cat",)
    assert test.records[0].labels.tolist() == [1]


def test_categories_twice_and_without_objects(coco, capsys):
    def edit(content):
        more = [{"id": 0, "name": "animals"}, {"id": 7, "name": "cat "}, {"id": 9, "name": "dog"}]
        content["categories"] += more
        content["annotations"][1]["category_id"] = 7

    change(coco, edit)
    split = read_data(coco, "trainval")
    assert split.classes == ("cat",)
    assert [record.labels.tolist() for record in split.records] == [[1], [1]]
    out = capsys.readouterr().out
    assert "categories 1, 7 are one class, cat" in out
    assert "categories without objects, left out: animals, dog" in out


def test_a_category_named_background_without_objects_is_no_class(coco):
    change(coco, lambda content: content["categories"].insert(0, {"id": 0, "name": "background"}))
    assert read_data(coco, "trainval").classes == ("cat",)
    assert find_faults(coco) == []


def test_classes_do_not_depend_on_the_limit(coco):
    def edit(content):
        content["categories"].append({"id": 5, "name": "dog"})
        content["annotations"][1]["category_id"] = 5

    change(coco, edit)
    assert read_data(coco, "test", limit=1).classes == ("cat", "dog")


# Forms


def test_coco_as_downloaded(coco, capsys):
    assert (names(coco), names(coco, "test")) == (["a.jpg", "b.jpg"], ["c.jpg"])
    assert "trained on train, measured on val" in capsys.readouterr().out
    write_coco(coco / "annotations/image_info_test2017.json", coco_content(["x"]))
    write_coco(coco / "annotations/captions_train2017.json", {"annotations": []})
    assert names(coco, "test") == ["c.jpg"]


def test_roboflow(tmp_path):
    for i, (name, stems) in enumerate({"train": "ab", "valid": "c", "test": "d"}.items()):
        add_images(tmp_path / name, stems)
        write_coco(tmp_path / name / "_annotations.coco.json", coco_content(stems, 10 * i))
    assert names(tmp_path) == ["a.jpg", "b.jpg", "c.jpg"]
    assert names(tmp_path, "test") == ["d.jpg"]
    assert find_faults(tmp_path) == []


@pytest.mark.parametrize("where", ["images/train", "images", "train", "data/train", "JPEGImages"])
def test_where_images_may_lie(tmp_path, where):
    for name, stems in (("train", "ab"), ("test", "c")):
        add_images(tmp_path / where.replace("train", name), stems)
        write_coco(tmp_path / f"annotations/{name}.json", coco_content(stems))
    assert (names(tmp_path), names(tmp_path, "test")) == (["a.jpg", "b.jpg"], ["c.jpg"])


@pytest.mark.parametrize(
    "in_front", ["train2017/", "./train2017/", "train2017\\", "elsewhere/x/", "C:\\x\\"]
)
def test_a_folder_in_front_of_the_name(coco, in_front):
    change(coco, lambda content: content["images"][0].update(file_name=f"{in_front}a.jpg"))
    assert names(coco) == ["a.jpg", "b.jpg"]


def test_the_same_name_in_both_sets(tmp_path):
    make_coco(tmp_path, ["1"], ["1"])
    assert read_data(tmp_path, "trainval").records[0].image == tmp_path / "train2017/1.jpg"
    assert read_data(tmp_path, "test").records[0].image == tmp_path / "val2017/1.jpg"


def test_one_file_for_all_is_drawn_from(tmp_path, capsys):
    """As CVAT and Label Studio export it."""
    stems = [f"{i:02}" for i in range(20)]
    add_images(tmp_path / "images", stems)
    write_coco(tmp_path / "annotations/instances_default.json", coco_content(stems))
    trainval, test = names(tmp_path), names(tmp_path, "test")
    assert (len(trainval), len(test)) == (16, 4)
    assert not {*trainval} & {*test}
    assert "the test set is 4 of the 20 images, drawn at random" in capsys.readouterr().out


def test_a_file_of_no_set_is_told(coco, capsys):
    write_coco(coco / "annotations/instances_minival.json", coco_content(["x"]))
    assert names(coco) == ["a.jpg", "b.jpg"]
    assert "not read: annotations/instances_minival.json" in capsys.readouterr().out


def test_voc_goes_first(coco):
    """A VOC folder that has its annotations as COCO, too."""
    for stem in "def":
        add_image(coco, stem, object_xml(*CAT))
    assert {*names(coco), *names(coco, "test")} == {"d.jpg", "e.jpg", "f.jpg"}


def test_a_category_may_be_named_by_a_number(tmp_path):
    coco = make_coco(tmp_path)
    for path in (coco / "annotations").iterdir():
        content = json.loads(path.read_text())
        content["categories"][0]["name"] = 7
        path.write_text(json.dumps(content))
    assert read_data(coco, "test").classes == ("7",)


def test_json_of_another_kind_is_no_data(tmp_path):
    add_images(tmp_path / "images", "a")
    (tmp_path / "package.json").write_text('{"name": "images"}')
    (fault,) = find_faults(tmp_path)
    assert fault.what.startswith("package.json is in JSON, but not COCO's")


def test_a_sample_has_every_class(tmp_path):
    make_coco(tmp_path, [f"{i:02}" for i in range(40)])

    def edit(content):
        content["categories"] += [{"id": 2, "name": "dog"}, {"id": 3, "name": "zebra"}]
        content["annotations"][30]["category_id"] = 2
        content["annotations"][31]["category_id"] = 3

    change(tmp_path, edit)
    split = read_data(tmp_path, "trainval", 3)
    assert {label for record in split.records for label in record.labels} == {1, 2, 3}
