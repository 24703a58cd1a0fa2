"""The drawn data set: repeatable and well formed."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ssd_model.data.scenes import draw_scene, write_scenes
from ssd_model.data.scenes.compose import compose
from ssd_model.data.scenes.signs import CLASSES, SIGN_SIZE, draw_sign

TRAINVAL, TEST = 28, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "signs", TRAINVAL, TEST, processes=1)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def split(folder: Path, name: str) -> list[str]:
    return (folder / "ImageSets" / "Main" / f"{name}.txt").read_text().split()


def annotations(folder: Path) -> list[ElementTree.Element]:
    return [ElementTree.parse(path).getroot() for path in sorted(folder.glob("Annotations/*.xml"))]


def number(element: ElementTree.Element, path: str) -> int:
    return int(element.findtext(path, "missing"))


# Signs


def test_there_are_ten_classes_in_order() -> None:
    assert len(CLASSES) == 10
    assert list(CLASSES) == sorted(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_sign_fills_its_square_but_for_the_corners(name: str) -> None:
    sign = draw_sign(name)
    assert sign.mode == "RGBA"
    assert sign.size == (SIGN_SIZE, SIGN_SIZE)
    left, top, right, bottom = sign.getbbox()
    assert max(right - left, bottom - top) > 0.9 * SIGN_SIZE
    assert sign.getpixel((0, 0))[3] == 0


def test_signs_differ_from_each_other() -> None:
    pictures = {draw_sign(name).tobytes() for name in CLASSES}
    assert len(pictures) == len(CLASSES)


def test_an_unknown_sign_is_named() -> None:
    with pytest.raises(ValueError, match="no_parking"):
        draw_sign("no_parking")


# Repeatable


def drawn(folder: Path) -> dict[str, bytes]:
    """Pictures and annotations, without the lists."""
    files = contents(folder).items()
    return {name: data for name, data in files if name.startswith(("JPEG", "Annotations"))}


def test_files_do_not_depend_on_the_number_of_processes(folder: Path, tmp_path: Path) -> None:
    shared = drawn(write_scenes(tmp_path / "shared", 14, 6, processes=2))
    assert len(shared) == 40
    assert shared.items() <= drawn(folder).items()


def test_the_whole_folder_is_repeatable(tmp_path: Path) -> None:
    folders = [write_scenes(tmp_path / name, 2, 1, processes=1) for name in ("one", "two")]
    assert contents(folders[0]) == contents(folders[1])


def test_a_larger_set_begins_with_the_smaller_one(folder: Path, tmp_path: Path) -> None:
    small = drawn(write_scenes(tmp_path / "small", 3, 2, processes=1))
    assert len(small) == 10
    assert small.items() <= drawn(folder).items()


def test_other_seeds_splits_and_numbers_give_other_scenes() -> None:
    places = [(0, "trainval", 0), (0, "trainval", 1), (0, "test", 0), (1, "trainval", 0)]
    assert len({draw_scene(*place).jpeg for place in places}) == len(places)


def test_no_global_random_state_is_used() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    compose(np.random.default_rng(5))
    assert np.random.get_state()[1].tolist() == before


# Well formed


def test_lists_name_the_files_and_share_nothing(folder: Path) -> None:
    trainval, test = split(folder, "trainval"), split(folder, "test")
    assert (len(trainval), len(test)) == (TRAINVAL, TEST)
    assert not set(trainval) & set(test)
    assert {p.stem for p in folder.glob("JPEGImages/*.jpg")} == {*trainval, *test}
    assert {p.stem for p in folder.glob("Annotations/*.xml")} == {*trainval, *test}


def test_no_two_pictures_are_the_same(folder: Path) -> None:
    pictures = [path.read_bytes() for path in folder.glob("JPEGImages/*.jpg")]
    assert len(set(pictures)) == len(pictures)


def test_label_list_holds_the_classes(folder: Path) -> None:
    assert tuple((folder / "label_list").read_text().split()) == CLASSES


def test_annotations_describe_their_pictures(folder: Path) -> None:
    for root in annotations(folder):
        with Image.open(folder / "JPEGImages" / root.findtext("filename", "")) as image:
            assert image.size == (number(root, "size/width"), number(root, "size/height"))
            assert image.mode == "RGB"
        assert number(root, "size/depth") == 3
        assert number(root, "segmented") == 0
        assert root.find("folder") is not None


def test_boxes_lie_in_the_picture(folder: Path) -> None:
    for root in annotations(folder):
        width, height = number(root, "size/width"), number(root, "size/height")
        assert 1 <= len(root.findall("object")) <= 6
        for item in root.findall("object"):
            assert item.findtext("name") in CLASSES
            assert item.findtext("pose") == "Unspecified"
            assert number(item, "truncated") in (0, 1)
            assert number(item, "difficult") in (0, 1)
            assert 1 <= number(item, "bndbox/xmin") < number(item, "bndbox/xmax") <= width
            assert 1 <= number(item, "bndbox/ymin") < number(item, "bndbox/ymax") <= height


def test_every_class_appears(folder: Path) -> None:
    names = {item.findtext("name") for root in annotations(folder) for item in root.iter("object")}
    assert names == set(CLASSES)


def test_signs_cut_by_the_border_are_truncated(folder: Path) -> None:
    for root in annotations(folder):
        for item in root.findall("object"):
            if number(item, "truncated"):
                box = [number(item, f"bndbox/{tag}") for tag in ("xmin", "ymin", "xmax", "ymax")]
                edges = (1, 1, number(root, "size/width"), number(root, "size/height"))
                assert any(abs(a - b) <= 1 for a, b in zip(box, edges, strict=True))
