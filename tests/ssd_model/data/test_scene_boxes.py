"""The boxes of drawn signs: tight, and honest about what is hidden or cut."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ssd_model.data.scenes import compose as composing
from ssd_model.data.scenes.backgrounds import draw_street
from ssd_model.data.scenes.compose import compose
from ssd_model.data.scenes.effects import pose, warp
from ssd_model.data.scenes.signs import SIGN_SIZE, draw_sign
from ssd_model.data.scenes.stage import OVERSIZE, Mood


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
