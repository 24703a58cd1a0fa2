"""Draw houses beside the road, with their fronts and their walls along it in perspective."""

from collections.abc import Callable

from ssd_model.data.scenes.stage import Colour, Stage

_WALLS = (
    (216, 202, 176), (198, 178, 152), (178, 120, 96), (160, 96, 78), (206, 206, 200),
    (224, 214, 190), (170, 176, 180), (202, 164, 124), (190, 198, 180), (152, 140, 130),
)  # fmt: skip
_ROOFS = ((128, 72, 58), (96, 64, 56), (84, 82, 86), (110, 92, 78), (72, 76, 84))
_LAMPLIGHT = ((255, 214, 140), (255, 190, 110), (240, 230, 200))
_PANES = (
    (70, 86, 102), (96, 118, 138), (56, 64, 74), (128, 150, 166), (84, 98, 110), (108, 132, 152),
)  # fmt: skip


def houses(stage: Stage, side: int, town: bool) -> list[tuple[float, Callable[[], None]]]:
    """Plan a row of houses on one side of the road (-1 left, 1 right).

    Returns:
        For each house, its distance in metres and a function that draws it.
    """
    rng = stage.rng
    items: list[tuple[float, Callable[[], None]]] = []
    z = float(rng.uniform(7, 26))
    setback = float(rng.uniform(2.2, 5.0) if town else rng.uniform(5, 12))
    while z < 110:
        deep = float(rng.uniform(6, 13))
        if rng.random() < (0.88 if town else 0.22):
            x = stage.beside(side, setback + float(rng.uniform(0, 1.2)))
            items.append((z, lambda x=x, z=z, deep=deep: _house(stage, side, x, z, deep, town)))
        z += deep + float(rng.uniform(0.2, 2.5) if town else rng.uniform(4, 20))
    return items


def _house(stage: Stage, side: int, x: float, z: float, deep: float, town: bool) -> None:
    """Draw a house whose wall along the road is at `x` and whose front is `z` metres away."""
    rng = stage.rng
    floors = int(rng.integers(2, 5) if town else rng.integers(1, 3))
    tall, wide = floors * 2.9 + 0.4, float(rng.uniform(7, 12))
    far_x = x + side * wide
    wall, roof = stage.pick(_WALLS), stage.pick(_ROOFS)
    bright, dim = (1.0, 0.78) if rng.random() < 0.5 else (0.76, 1.0)
    back = z + deep
    stage.face([(x, 0, z), (x, 0, back), (x, tall, back), (x, tall, z)], wall, dim)
    front = (min(x, far_x), max(x, far_x))
    box = stage.upright(front, (0, tall), z, wall, bright)
    _roof(stage, front, x, (z, back), tall, roof)
    if box[2] < 0 or box[0] > stage.width:
        _side_windows(stage, x, (z, back), floors)
        return
    _front_windows(stage, front, z, floors)
    _side_windows(stage, x, (z, back), floors)
    stage.walls.append(box)
    if town and rng.random() < 0.4:
        _shop(stage, front, z)


def _roof(
    stage: Stage,
    front: tuple[float, float],
    x: float,
    z: tuple[float, float],
    tall: float,
    colour: Colour,
) -> None:
    left, right = front
    if stage.rng.random() < 0.25:  # flat, with a parapet
        stage.upright((left - 0.2, right + 0.2), (tall - 0.35, tall + 0.3), z[0], colour)
        stage.face(
            [
                (x, tall - 0.35, z[0]),
                (x, tall - 0.35, z[1]),
                (x, tall + 0.3, z[1]),
                (x, tall + 0.3, z[0]),
            ],
            colour,
            0.8,
        )
        return
    middle, top = sum(z) / 2, tall + float(stage.rng.uniform(2, 3.6))
    stage.face([(x, tall, z[0]), (x, tall, z[1]), (x, top, middle)], colour, 0.7)
    stage.face(
        [
            (left - 0.3, tall, z[0]),
            (right + 0.3, tall, z[0]),
            (right, top, middle),
            (left, top, middle),
        ],
        colour,
    )
    if stage.rng.random() < 0.6:
        stack = float(stage.rng.uniform(left + 1, right - 1.6))
        stage.upright((stack, stack + 0.6), (top - 0.9, top + 0.8), middle, (120, 84, 72))


def _glass(stage: Stage) -> tuple[Colour, bool]:
    """Choose the colour of a window pane, and whether a lamp is on behind it."""
    if stage.mood.dark and stage.rng.random() < 0.4:
        return _LAMPLIGHT[int(3 * stage.rng.random())], True
    return _PANES[int(6 * stage.rng.random())], False


def _front_windows(stage: Stage, front: tuple[float, float], z: float, floors: int) -> None:
    rng = stage.rng
    count = int(rng.integers(2, 5))
    step = (front[1] - front[0]) / count
    wide, tall = step * float(rng.uniform(0.36, 0.6)), float(rng.uniform(1.2, 1.8))
    frame = stage.pick(((232, 230, 224), (120, 96, 76), (210, 206, 196)), 6)
    door = int(rng.integers(count))
    for floor in range(floors):
        low = floor * 2.9 + 0.9
        for i in range(count):
            x = front[0] + (i + 0.5) * step - wide / 2
            if floor == 0 and i == door:
                stage.upright((x, x + wide), (0, 2.2), z, stage.pick(((96, 60, 44), (60, 78, 70))))
                continue
            stage.upright((x - 0.1, x + wide + 0.1), (low - 0.1, low + tall + 0.1), z, frame)
            glass, lit = _glass(stage)
            box = stage.upright((x, x + wide), (low, low + tall), z, glass)
            if lit and box[2] > box[0]:
                stage.draw.rectangle(box, fill=glass)
            bar = x + wide / 2
            stage.upright((bar - 0.04, bar + 0.04), (low, low + tall), z, frame)


def _side_windows(stage: Stage, x: float, z: tuple[float, float], floors: int) -> None:
    count = int(stage.rng.integers(2, 5))
    step = (z[1] - z[0]) / count
    for floor in range(floors):
        low = floor * 2.9 + 0.9
        for i in range(count):
            near = z[0] + (i + 0.28) * step
            far = near + 0.44 * step
            glass, lit = _glass(stage)
            corners = [(x, low, near), (x, low, far), (x, low + 1.5, far), (x, low + 1.5, near)]
            stage.face(corners, glass, 0.85)
            if lit:
                stage.draw.polygon(stage.spots(corners), fill=glass)


def _shop(stage: Stage, front: tuple[float, float], z: float) -> None:
    """Draw a shop window under a striped awning."""
    left, right = front[0] + 0.5, front[1] - 0.5
    glass = (255, 226, 160) if stage.mood.dark else (110, 128, 140)
    box = stage.upright((left, right), (0.3, 2.4), z, glass)
    if stage.mood.dark and box[2] > box[0]:
        stage.draw.rectangle(box, fill=glass)
    colours = (
        stage.pick(((180, 40, 40), (40, 110, 70), (30, 80, 150), (200, 140, 40))),
        (236, 232, 222),
    )
    stripes = 8
    step = (right - left) / stripes
    for i in range(stripes):
        x = left + i * step
        stage.face(
            [(x, 2.9, z), (x + step, 2.9, z), (x + step, 2.35, z - 0.7), (x, 2.35, z - 0.7)],
            colours[i % 2],
        )
