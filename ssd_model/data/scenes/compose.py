"""Compose one scene: a street, signs on posts and walls, and things in front of them."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from ssd_model.data.scenes.backgrounds import draw_street
from ssd_model.data.scenes.effects import photograph, pose, warp, worn_sign
from ssd_model.data.scenes.signs import CLASSES
from ssd_model.data.scenes.stage import OVERSIZE, Point, Stage
from ssd_model.data.scenes.twigs import twig_leaves

_COUNTS = (0.13, 0.25, 0.28, 0.18, 0.1, 0.06)
"""The probabilities of 1, 2, ... 6 signs in a scene."""

_LEAST_SEEN = 0.25
_WELL_SEEN = 0.75
_HALF_SEEN = 0.5
_STEEL = (140, 144, 148)
_TRIES = 40


@dataclass(frozen=True)
class SignBox:
    """A visible sign; its box is in whole pixels from 0, with right and bottom exclusive."""

    name: str
    box: tuple[int, int, int, int]
    truncated: bool
    difficult: bool


@dataclass(frozen=True)
class Scene:
    """A finished scene: the content of a JPEG file, and the signs in it."""

    jpeg: bytes
    width: int
    height: int
    signs: tuple[SignBox, ...]


@dataclass
class _Sign:
    """A sign on the stage, in stage pixels: its picture, its place and its size."""

    name: str
    side: float
    centre: Point
    patch: Image.Image
    corner: tuple[int, int]

    def __post_init__(self) -> None:
        self.mask = self.patch.getchannel("A").point(lambda v: 255 if v >= 128 else 0)
        self.area = self.mask.histogram()[255]


@dataclass(frozen=True)
class _Bar:
    """A straight piece of a post, in stage pixels."""

    start: Point
    end: Point
    width: float


def compose(rng: np.random.Generator) -> Scene:
    """Draw one scene of random size, about 460 x 350 pixels, with 1 to 6 signs.

    Args:
        rng: the source of all randomness; the same state gives the same scene.
    """
    width, height = int(rng.integers(400, 521)), int(rng.integers(300, 401))
    stage = draw_street(rng, width, height)
    board = _Board(stage)
    board.place_signs()
    board.place_cover()
    smallest = min(sign.side for sign in board.signs) / OVERSIZE
    jpeg = photograph(rng, stage.image.reduce(OVERSIZE), stage.mood, smallest)
    return Scene(jpeg, width, height, board.boxes())


class _Board:
    """Puts signs, and things that cover them, on a stage; tracks which pixels each sign keeps."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rng = stage.rng
        self.signs: list[_Sign] = []
        # Pixels are i + 1 where sign i is visible, and 0 elsewhere.
        self.owner = Image.new("L", stage.image.size, 0)

    def seen(self, owner: Image.Image | None = None) -> list[float]:
        """The visible part of each sign's area, 0..1."""
        counts = (owner or self.owner).histogram()
        return [counts[i + 1] / sign.area for i, sign in enumerate(self.signs)]

    def place_signs(self) -> None:
        """Place all signs of the scene, the small ones first, since they are farther away."""
        count = 1 + int(self.rng.choice(len(_COUNTS), p=_COUNTS))
        names = self.rng.permutation(np.array(CLASSES))[:count].tolist()
        for name, side in zip(names, sorted(self._side(count) for _ in names), strict=True):
            for _ in range(_TRIES):
                if self._try_sign(name, side):
                    break

    def _side(self, count: int) -> float:
        """Choose a sign's side in stage pixels, a little smaller in crowded scenes."""
        shorter = min(self.stage.image.size)
        if self.rng.random() < 0.11:
            return float(self.rng.uniform(0.085, 0.12)) * shorter
        largest = 0.48 if count < 4 else 0.4
        return float(self.rng.uniform(0.14, largest)) * shorter

    def _try_sign(self, name: str, side: float) -> bool:
        """Try to place a sign at random; if it does not fit, change nothing and return False."""
        centre, bars = self._spot(side)
        if not self._has_room(centre, side):
            return False
        corners = pose(self.rng, side) + np.array(centre)
        patch, corner = warp(worn_sign(self.rng, name, side, self.stage.mood), corners)
        sign = _Sign(name, side, centre, patch, corner)
        owner = self.owner.copy()
        draw = ImageDraw.Draw(owner)
        for bar in bars:
            draw.line([bar.start, bar.end], fill=0, width=round(bar.width))
        owner.paste(len(self.signs) + 1, sign.corner, sign.mask)
        self.signs.append(sign)
        if not self._fair(owner):
            self.signs.pop()
            return False
        self.owner = owner
        for bar in bars:
            self._draw_bar(bar)
        self.stage.image.paste(sign.patch, sign.corner, sign.patch)
        return True

    def _fair(self, owner: Image.Image) -> bool:
        """Whether each sign would keep enough: most of its area, or (rarely) less than half.

        In between, a speed limit could lose a digit without being marked as difficult.
        """
        rare = self.rng.random() < 0.3
        return all(
            seen >= _WELL_SEEN or (rare and _LEAST_SEEN < seen < _HALF_SEEN)
            for seen in self.seen(owner)
        )

    def _has_room(self, centre: Point, side: float) -> bool:
        """Whether a sign keeps clear of the others or (rarely) covers one a little."""
        touch = 0.36 if self.rng.random() < 0.15 else 0.5
        for other in self.signs:
            gap = max(abs(centre[0] - other.centre[0]), abs(centre[1] - other.centre[1]))
            if gap < touch * (side + other.side):
                return False
        return True

    def _spot(self, side: float) -> tuple[Point, list[_Bar]]:
        """Choose where the middle of a sign goes, and the post that carries it."""
        kind = self.rng.random()
        if kind < 0.2 and self.signs:
            return self._spot_below(side)
        if kind < 0.42 and (spot := self._spot_on_wall(side)):
            return spot, []
        return self._spot_on_post(side)

    def _spot_below(self, side: float) -> tuple[Point, list[_Bar]]:
        """Choose the place right below or above an earlier sign, on the same post."""
        other = self.signs[int(self.rng.integers(len(self.signs)))]
        step = 0.54 * (side + other.side) * float(self.rng.choice([-1, 1]))
        centre = (other.centre[0], other.centre[1] + step)
        return centre, [] if step < 0 else [self._post(centre, side)]

    def _spot_on_wall(self, side: float) -> Point | None:
        """Choose a place on a large enough house front, if there is one in view."""
        width, height = self.stage.image.size
        margin = 0.55 * side
        for left, top, right, bottom in self.stage.walls:
            x = (max(left, 0) + margin, min(right, width) - margin)
            y = (max(top, 0) + margin, min(bottom, height) - margin)
            if x[0] < x[1] and y[0] < y[1] and self.rng.random() < 0.5:
                return float(self.rng.uniform(*x)), float(self.rng.uniform(*y))
        return None

    def _spot_on_post(self, side: float) -> tuple[Point, list[_Bar]]:
        stage, rng = self.stage, self.rng
        edge = -0.15 if rng.random() < 0.14 else 0.5
        camera = stage.camera
        scale = side / 0.75  # a sign is about 0.75 m wide
        for _ in range(6):
            x = float(rng.uniform(edge * side, stage.width - edge * side))
            metres = (x - camera.vanish_x) / scale
            if not stage.road[0] - 0.2 < metres < stage.road[1] + 0.2:
                break
        high = max(edge * side, camera.horizon - 1.7 * side)
        low = min(stage.height - edge * side, camera.horizon + 0.75 * side)
        y = float(rng.uniform(high, max(high + 1, low)))
        post = self._post((x, y), side)
        if rng.random() < 0.12:
            return (x, y), self._arm((x, y), post)
        return (x, y), [post]

    def _post(self, centre: Point, side: float) -> _Bar:
        """Make a post from the middle of the sign down to the ground, leaning a little."""
        ground = self.stage.camera.horizon + 2 * side
        foot = max(min(ground, self.stage.height + 20.0), centre[1] + 0.7 * side)
        lean = float(self.rng.normal(0, 0.02)) * (foot - centre[1])
        return _Bar(centre, (centre[0] + lean, foot), max(3.0, 0.085 * side))

    def _arm(self, centre: Point, post: _Bar) -> list[_Bar]:
        """Hang the sign on an arm, with the post beside it."""
        shift = float(self.rng.choice([-1, 1])) * post.width * 8.5
        head = (centre[0] + shift, centre[1] - post.width)
        arm = _Bar((centre[0], head[1]), (head[0], head[1]), post.width * 0.8)
        return [arm, _Bar((head[0], head[1] - post.width), (head[0], post.end[1]), post.width)]

    def _draw_bar(self, bar: _Bar) -> None:
        """Draw a round, grey piece of post as three stripes of different brightness."""
        draw, tone = self.stage.draw, self.stage.tone
        upright = abs(bar.end[0] - bar.start[0]) < abs(bar.end[1] - bar.start[1])
        for part, shift, shade in ((1.0, 0.0, 0.62), (0.62, -0.1, 0.88), (0.25, -0.18, 1.16)):
            off = shift * bar.width
            dx, dy = (off, 0.0) if upright else (0.0, off)
            ends = [(x + dx, y + dy) for x, y in (bar.start, bar.end)]
            width = max(1, round(bar.width * part))
            draw.line(ends, fill=tone(_STEEL, 0, shade), width=width)

    def place_cover(self) -> None:
        """Sometimes hide a part of a sign behind leaves or a post."""
        for index in range(len(self.signs)):
            if self.rng.random() < 0.15:
                self._cover(self.signs[index])
        if self.rng.random() < 0.25:
            x = float(self.rng.choice([0.1, 0.9]) * self.stage.width)
            self._leaves((x, 0.14 * self.stage.height), 0.12 * self.stage.height)

    def _cover(self, sign: _Sign) -> None:
        x, y = sign.centre
        if self.rng.random() < 0.7:
            # Rarely, the leaves hide most of the sign.
            reach = self.rng.uniform(0.05, 0.3) if self.rng.random() < 0.3 else 0.55
            angle = float(self.rng.uniform(-pi, pi))
            spot = (x + reach * sign.side * cos(angle), y + reach * sign.side * sin(angle))
            self._leaves(spot, 0.36 * sign.side)
        else:
            # Beside the middle, which has the symbol.
            beside = float(self.rng.choice([-1, 1]) * self.rng.uniform(0.24, 0.5))
            self._pole(x + beside * sign.side, 0.1 * sign.side)

    def _still_seen(self, owner: Image.Image) -> bool:
        """Accept a new cover if enough of every sign stays visible."""
        if not self._fair(owner):
            return False
        self.owner = owner
        return True

    def _pole(self, x: float, width: float) -> None:
        owner = self.owner.copy()
        top, bottom = (x, 0.0), (x, float(self.stage.height))
        ImageDraw.Draw(owner).line([top, bottom], fill=0, width=round(width))
        if self._still_seen(owner):
            self._draw_bar(_Bar(top, bottom, width))

    def _leaves(self, tip: Point, radius: float) -> None:
        """Draw a twig that reaches into the picture as far as `tip`; both in stage pixels."""
        leaves = twig_leaves(self.stage, tip, radius)
        owner = self.owner.copy()
        draw = ImageDraw.Draw(owner)
        for points, _ in leaves:
            draw.polygon(points, fill=0)
        if not self._still_seen(owner):
            return
        for points, colour in leaves:
            self.stage.draw.polygon(points, fill=colour)

    def boxes(self) -> tuple[SignBox, ...]:
        """The signs to be found in the finished picture."""
        return tuple(
            self._box(sign, seen) for sign, seen in zip(self.signs, self.seen(), strict=True)
        )

    def _box(self, sign: _Sign, seen: float) -> SignBox:
        """The box around the whole sign, including hidden parts, clipped to the picture."""
        # Cut out the stage just around the sign, at whole pixels of the picture.
        left, top = (max(0, at) // OVERSIZE for at in sign.corner)
        width = min(self.stage.width, sign.corner[0] + sign.mask.width) - left * OVERSIZE
        height = min(self.stage.height, sign.corner[1] + sign.mask.height) - top * OVERSIZE
        size = (-(-width // OVERSIZE) * OVERSIZE, -(-height // OVERSIZE) * OVERSIZE)
        inside = Image.new("L", size, 0)
        corner = (sign.corner[0] - left * OVERSIZE, sign.corner[1] - top * OVERSIZE)
        inside.paste(255, corner, sign.mask)
        truncated = inside.histogram()[255] < sign.area
        # The picture is reduced by averaging: a pixel that is half sign counts as sign.
        found = inside.reduce(OVERSIZE).point(lambda v: 255 if v >= 128 else 0).getbbox()
        if found is None:
            raise RuntimeError("a sign was placed outside the picture")
        box = (left + found[0], top + found[1], left + found[2], top + found[3])
        return SignBox(sign.name, box, truncated, seen < _HALF_SEEN)
