"""`multi_box_head` of Paddle 1.x: the SSD heads and their prior boxes."""

from collections.abc import Sequence

import paddle
from paddle.static import Variable
from paddle.vision.ops import prior_box

Sizes = Sequence[float | Sequence[float]]


def multi_box_head(
    inputs: Sequence[Variable],
    image: Variable,
    base_size: int,
    num_classes: int,
    aspect_ratios: Sequence[float | Sequence[float]] | None,
    min_ratio: int | None = None,
    max_ratio: int | None = None,
    min_sizes: Sizes | None = None,
    max_sizes: Sizes | None = None,
    steps: Sequence[float] | None = None,
    step_w: Sequence[float] | None = None,
    step_h: Sequence[float] | None = None,
    offset: float = 0.5,
    variance: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
    flip: bool = True,
    clip: bool = False,
    kernel_size: int = 1,
    pad: int = 0,
    stride: int = 1,
    name: str | None = None,
    min_max_aspect_ratios_order: bool = False,
) -> tuple[Variable, Variable, Variable, Variable]:
    """Build location and confidence heads on feature maps, like `fluid.layers.multi_box_head`.

    Args:
        inputs: feature maps [N, C_i, H_i, W_i], large to small.
        image: [N, 3, H, W], the network's input.
        base_size: side of the image in pixels. With `min_ratio` and `max_ratio` (percent of it),
            the prior sizes of three or more maps are spread evenly.
        aspect_ratios: those of each map besides 1; None for no others.
        min_sizes, max_sizes: prior sizes of each map in pixels, instead of the ratios; an empty
            list in `max_sizes` means none for that map.
        steps, step_w, step_h: distance between prior centres in pixels, `steps` for both
            directions. The default, also for 0, is image / map. The original accepted `step_w` only
            together with `step_h`, and used both defaults if one was 0.
        variance: the scale of the four offsets.

    Returns:
        locations [N, P, 4], confidences [N, P, num_classes] (logits), prior boxes [P, 4] and
        their variances [P, 4]. For a single map the original returned other shapes: flat heads, and
        priors [H, W, priors, 4].

    Raises:
        ValueError: lists differ in length, sizes are missing, or ratios are too close to spread.
    """
    if min_sizes is None and max_sizes is not None:
        raise ValueError("multi_box_head has max_sizes, but no min_sizes")
    if min_sizes is None:
        min_sizes, max_sizes = _spread_sizes(len(inputs), base_size, min_ratio, max_ratio)
    _check_lengths(
        len(inputs),
        aspect_ratios=aspect_ratios,
        min_sizes=min_sizes,
        max_sizes=max_sizes,
        steps=steps,
        step_w=step_w,
        step_h=step_h,
    )
    if steps is not None:
        step_w = step_h = steps

    locations, confidences, boxes, variances = [], [], [], []
    for i, feature in enumerate(inputs):
        box, var = prior_box(
            feature,
            image,
            min_sizes=_as_list(min_sizes[i]),
            max_sizes=_as_list(max_sizes[i]) if max_sizes else None,
            aspect_ratios=_as_list(aspect_ratios[i]) if aspect_ratios else [1.0],
            variance=list(variance),
            flip=flip,
            clip=clip,
            steps=_steps(
                image, feature, step_w[i] if step_w else 0.0, step_h[i] if step_h else 0.0
            ),
            offset=offset,
            min_max_aspect_ratios_order=min_max_aspect_ratios_order,
            name=name,
        )  # fmt: skip
        boxes.append(box.reshape([-1, 4]))
        variances.append(var.reshape([-1, 4]))
        priors = box.shape[2]
        for width, outputs in ((4, locations), (num_classes, confidences)):
            head = paddle.static.nn.conv2d(feature, priors * width, kernel_size, stride, pad)
            outputs.append(_flatten(head, width))
    return tuple(
        paddle.concat(parts, axis)
        for parts, axis in ((locations, 1), (confidences, 1), (boxes, 0), (variances, 0))
    )


def _spread_sizes(
    maps: int, base_size: int, min_ratio: int | None, max_ratio: int | None
) -> tuple[list[float], list[float]]:
    """Spread sizes in pixels evenly from min_ratio to max_ratio percent; the first are fixed."""
    if min_ratio is None or max_ratio is None:
        raise ValueError("multi_box_head needs min_sizes, or both min_ratio and max_ratio")
    if maps <= 2:
        raise ValueError(f"min_ratio and max_ratio need three or more feature maps, not {maps}")
    step = int((max_ratio - min_ratio) // (maps - 2))
    if step < 1:
        raise ValueError(f"min_ratio {min_ratio} to max_ratio {max_ratio} is too narrow for {maps}")
    ratios = list(range(min_ratio, max_ratio + 1, step))[: maps - 1]
    smallest = [base_size * 0.10] + [base_size * ratio / 100.0 for ratio in ratios]
    largest = [base_size * 0.20] + [base_size * (ratio + step) / 100.0 for ratio in ratios]
    return smallest, largest


def _check_lengths(maps: int, **lists: Sequence | None) -> None:
    for name, values in lists.items():
        if values is not None and len(values) != maps:
            raise ValueError(f"{name} has {len(values)} entries for {maps} feature maps")


def _steps(image: Variable, feature: Variable, step_w: float, step_h: float) -> list[float]:
    """Both distances between prior centres; the operator would treat one 0 as two."""
    if not step_w and not step_h:
        return [0.0, 0.0]
    return [
        step_w or image.shape[3] / feature.shape[3],
        step_h or image.shape[2] / feature.shape[2],
    ]


def _as_list(value: float | Sequence[float]) -> list[float]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _flatten(head: Variable, width: int) -> Variable:
    """Reshape [N, priors * width, H, W] to [N, H * W * priors, width]."""
    _, channels, height, columns = head.shape
    total = height * columns * channels // width
    return head.transpose([0, 2, 3, 1]).reshape([0, total, width])
