"""The drawn data set: repeatable, well formed, and with boxes that fit the signs."""

import json
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ssd_model.data.scenes import compose as composing
from ssd_model.data.scenes import draw_scene, write_scenes, writer
from ssd_model.data.scenes.backgrounds import draw_street
from ssd_model.data.scenes.compose import compose
from ssd_model.data.scenes.effects import pose, warp
from ssd_model.data.scenes.signs import CLASSES, SIGN_SIZE, draw_sign
from ssd_model.data.scenes.stage import OVERSIZE, Mood

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


# Boxes fit


def plain_scene(seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, composing.Scene]:
    """A scene whose only bright pixels are those of its signs, which are plain white."""

    def black_street(rng: np.random.Generator, width: int, height: int) -> composing.Stage:
        stage = draw_street(rng, width, height)
        stage.image.paste((0, 0, 0), (0, 0, *stage.image.size))
        return stage

    def white_sign(rng: np.random.Generator, name: str, side: float, mood: Mood) -> Image.Image:
        white = Image.new("RGBA", (SIGN_SIZE, SIGN_SIZE), (255, 255, 255, 255))
        white.putalpha(draw_sign(name).getchannel("A"))
        return white

    def sharp(rng: np.random.Generator, image: Image.Image, mood: Mood, smallest: float) -> bytes:
        file = BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    with monkeypatch.context() as patch:
        patch.setattr(composing, "draw_street", black_street)
        patch.setattr(composing, "worn_sign", white_sign)
        patch.setattr(composing, "photograph", sharp)
        patch.setattr(composing, "_COUNTS", (1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
        patch.setattr(composing._Board, "place_cover", lambda self: None)
        patch.setattr(composing._Board, "_draw_bar", lambda self, bar: None)
        scene = compose(np.random.default_rng(seed))
    return np.asarray(Image.open(BytesIO(scene.jpeg)).convert("L")), scene


@pytest.mark.parametrize("seed", range(12))
def test_a_box_is_tight_around_its_sign(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, scene = plain_scene(seed, monkeypatch)
    (sign,) = scene.signs
    rows, columns = np.nonzero(picture >= 128)
    drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.subtract(drawn, sign.box)).max() <= 1


def board_with_sign() -> composing._Board:
    """A stage with one large sign in its middle."""
    board = composing._Board(draw_street(np.random.default_rng(1), 400, 300))
    patch = draw_sign("parking")
    board.signs.append(composing._Sign("parking", 256.0, (400.0, 300.0), patch, (272, 172)))
    board.owner.paste(1, (272, 172), board.signs[0].mask)
    return board


def test_a_sign_in_full_view_is_neither_difficult_nor_truncated() -> None:
    (box,) = board_with_sign().boxes()
    assert (box.difficult, box.truncated) == (False, False)


def test_a_sign_mostly_hidden_is_difficult_and_keeps_its_whole_box() -> None:
    board = board_with_sign()
    (free,) = board.boxes()
    board.owner.paste(0, (272, 172, 272 + 150, 172 + 256))
    (hidden,) = board.boxes()
    assert hidden.difficult
    assert hidden.box == free.box


def test_enough_of_every_sign_is_seen() -> None:
    for seed in range(12):
        board = composing._Board(draw_street(np.random.default_rng(seed), 440, 330))
        board.place_signs()
        board.place_cover()
        assert board.signs
        assert min(board.seen()) >= 0.25
        assert max(board.seen()) <= 1


def test_warp_keeps_the_size_and_place_of_a_square() -> None:
    corners = np.array([(10.0, 20.0), (74.0, 20.0), (74.0, 84.0), (10.0, 84.0)])
    patch, corner = warp(draw_sign("parking", 64), corners)
    assert (patch.size, corner) == ((64, 64), (10, 20))
    assert np.abs(np.asarray(patch, int) - np.asarray(draw_sign("parking", 64), int)).max() <= 2


def test_a_pose_never_mirrors_or_folds_a_sign() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        edges = np.roll(corners := pose(rng, 100.0), -1, 0) - corners
        following = np.roll(edges, -1, 0)
        turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
        assert (turns > 0).all()


def test_the_picture_is_the_stage_reduced() -> None:
    stage = draw_street(np.random.default_rng(2), 410, 310)
    assert stage.image.size == (410 * OVERSIZE, 310 * OVERSIZE)


# The folder


def test_a_complete_folder_is_left_alone(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "signs", 2, 1, processes=1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_scenes(folder, 2, 1, processes=1)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("change", ["version", "seed", "count"])
def test_another_set_replaces_the_old_one(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_scenes(tmp_path / "signs", 2, 1, processes=1)
    picture = next(iter(sorted(folder.glob("JPEGImages/*"))))
    picture.write_bytes(b"an older look")
    if change == "version":
        monkeypatch.setattr(writer, "VERSION", writer.VERSION + 1)
    wanted = (1, 1) if change == "count" else (2, 1)
    write_scenes(folder, *wanted, seed=int(change == "seed"), processes=1)
    assert picture.read_bytes() != b"an older look"
    assert len(list(folder.glob("JPEGImages/*.jpg"))) == sum(wanted)
    assert json.loads((folder / "scenes.json").read_text())["version"] == writer.VERSION


def test_a_foreign_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="mine"):
        write_scenes(tmp_path / "mine", 1, 1, processes=1)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"


def test_a_foreign_scenes_json_does_not_pass_for_ours(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "scenes.json").write_text('{"version": 1}')
    with pytest.raises(FileExistsError):
        write_scenes(tmp_path / "mine", 1, 1, processes=1)


def test_a_stranger_in_our_folder_is_never_deleted(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "signs", 1, 1, processes=1)
    (folder / "notes.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        write_scenes(folder, 2, 1, processes=1)
    assert (folder / "notes.txt").read_text() == "keep me"


def test_an_empty_folder_is_filled_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "signs").mkdir()
    write_scenes(tmp_path / "signs", 1, 1, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["signs"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(rng: np.random.Generator) -> None:
        raise RuntimeError("no paint")

    monkeypatch.setattr(writer, "compose", fail)
    with pytest.raises(RuntimeError, match="no paint"):
        write_scenes(tmp_path / "signs", 1, 1, processes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_was_not_quite_replaced_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_scenes(tmp_path / "signs", 1, 1, processes=1)
    rename, renamed = Path.rename, []

    def rename_once(path: Path, target: Path) -> Path:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", rename_once)
        write_scenes(folder, 2, 1, processes=1)
    write_scenes(folder, 2, 1, processes=1)
    assert len(list(folder.glob("JPEGImages/*.jpg"))) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["signs"]


def test_negative_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="negative"):
        write_scenes(tmp_path / "signs", -1, 1)
