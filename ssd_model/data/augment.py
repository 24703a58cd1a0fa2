"""SSD's augmentation of training images, as in the original reader (PaddleCV/ssd)."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageEnhance

from ssd_model.boxes import iou

# The colour around an expanded image: the mean that preprocessing subtracts, 127.5, as a byte.
FILL = (127, 127, 127)


@dataclass(frozen=True)
class Augmentation:
    """Random colours, zooming out, cropping and flipping. The defaults are the original's.

    Zooming out is `expand`; a probability of 0 turns it off. Windows are in pixels of the given
    image, as x0, y0, x1, y1; the window of an expanded image extends beyond it.
    """

    distort_prob: float = 0.5  # for each of the four below
    brightness: float = 0.125  # the factor is within 1 +- this
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 18  # of 256 in a full turn

    expand_prob: float = 0.5
    expand_max: float = 4.0  # sides of the expanded image / sides of the image

    # Each value is for one sampler, whose crop must overlap some box by this IoU; 0 takes any crop.
    min_overlaps: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
    trials: int = 50  # of each sampler
    min_scale: float = 0.3  # sqrt of a crop's share of the image's area
    max_scale: float = 1.0
    min_aspect: float = 0.5  # of the crop's sides, as parts of the image's
    max_aspect: float = 2.0

    flip_prob: float = 0.5
    min_side: float = 1e-3  # a box cut smaller than this part of the result is dropped

    def __call__(
        self,
        image: Image.Image,
        boxes: np.ndarray,
        labels: np.ndarray,
        difficult: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[Image.Image, np.ndarray, np.ndarray, np.ndarray]:
        """Return another view of an RGB image and its ground truth; the size may differ.

        boxes: [G, 4], xmin, ymin, xmax, ymax, 0..1. labels, difficult: [G]. The returned boxes
        are float32. A box is kept if its centre is in the view, and is clipped to the view. An
        image with boxes keeps at least one. The result depends only on the arguments.
        """
        scale = np.array(image.size * 2, float)
        pixels = boxes.astype(float) * scale
        image = self._distort(image, rng)
        window = whole = np.array((0, 0, *image.size))
        window = self._crop(self._expand(window, pixels, rng), pixels, rng)
        if (window != whole).any():
            image = _cut(image, window)
            boxes, keep = self._project(pixels, window[None])
            boxes, keep = boxes[0], keep[0]
            boxes, labels, difficult = boxes[keep], labels[keep], difficult[keep]
        boxes = boxes.astype(np.float32)
        if rng.random() < self.flip_prob:
            image, boxes = flip(image, boxes)
        return image, boxes, labels, difficult

    def _distort(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        brightness = partial(_enhance, ImageEnhance.Brightness, self.brightness)
        contrast = partial(_enhance, ImageEnhance.Contrast, self.contrast)
        saturation = partial(_enhance, ImageEnhance.Color, self.saturation)
        hue = partial(_turn_hue, self.hue)
        # Contrast comes second or last.
        steps = [brightness, saturation, hue]
        steps.insert(1 if rng.random() > 0.5 else 3, contrast)
        for step in steps:
            if rng.random() < self.distort_prob:
                image = step(image, rng)
        return image

    def _expand(
        self, window: np.ndarray, pixels: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return a larger window around the image, at a random place."""
        if rng.random() >= self.expand_prob:
            return window
        size = window[2:]
        larger = (size * rng.uniform(1, self.expand_max)).astype(int)
        start = -rng.integers(0, larger - size + 1)
        expanded = np.concatenate([start, start + larger])
        # Stay as before if all boxes would be too small.
        return expanded if self._fits(pixels, expanded[None])[0] else window

    def _crop(self, window: np.ndarray, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the window itself or one of the accepted crops, all equally likely.

        There is a sampler for each minimum overlap. It offers its first trial that overlaps some
        box by that much (SSD, arXiv 1512.02325, 2.2). All trials are judged at once, since one by
        one they took longer than decoding the image.
        """
        accepted = [window]
        if len(pixels) and self.min_overlaps:
            crops = self._draw_crops(window, len(self.min_overlaps) * self.trials, rng)
            overlaps = iou(crops, pixels).max(axis=1)
            fits = self._fits(pixels, crops)
            shape = len(self.min_overlaps), self.trials
            good = (overlaps.reshape(shape) >= np.array(self.min_overlaps)[:, None]) & (
                fits.reshape(shape)
            )
            first = good.argmax(axis=1)  # the first good trial of each sampler
            crops = crops.reshape(*shape, 4)
            accepted += [crops[i, first[i]] for i in range(shape[0]) if good[i, first[i]]]
        return accepted[rng.integers(len(accepted))]

    def _draw_crops(self, window: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return random windows [count, 4] in `window`, in whole pixels, at least 1x1."""
        scale = rng.uniform(self.min_scale, self.max_scale, count)
        aspect = rng.uniform(self.min_aspect, self.max_aspect, count)
        aspect = aspect.clip(scale**2, scale**-2)  # no side longer than the window's
        sides = np.stack([scale * np.sqrt(aspect), scale / np.sqrt(aspect)], axis=1)
        start = rng.uniform(0, 1, (count, 2)) * (1 - sides)
        size = window[2:] - window[:2]
        low = np.rint(start * size).astype(int).clip(0, size - 1)
        high = np.rint((start + sides) * size).astype(int).clip(low + 1, size)
        return np.concatenate([low, high], axis=1) + np.tile(window[:2], 2)

    def _fits(self, pixels: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """Whether each window [T, 4] keeps a box: [T]. Without boxes, all windows fit."""
        return self._project(pixels, windows)[1].any(axis=1) | (len(pixels) == 0)

    def _project(self, pixels: np.ndarray, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes as parts 0..1 of each window [T, G, 4], and which are kept [T, G]."""
        low, high = windows[:, None, :2], windows[:, None, 2:]
        centre = (pixels[:, :2] + pixels[:, 2:]) / 2
        inside = ((centre >= low) & (centre <= high)).all(axis=2)
        boxes = (pixels - np.tile(low, 2)) / np.tile(high - low, 2)
        boxes = boxes.clip(0, 1)
        large = (boxes[..., 2:] - boxes[..., :2] >= self.min_side).all(axis=2)
        return boxes, inside & large


def flip(image: Image.Image, boxes: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """Mirror an image and its boxes [G, 4] (0..1) left to right."""
    flipped = boxes.copy()
    flipped[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), flipped


def _enhance(kind: type, delta: float, image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return kind(image).enhance(1 + rng.uniform(-delta, delta))


def _turn_hue(delta: float, image: Image.Image, rng: np.random.Generator) -> Image.Image:
    turn = round(rng.uniform(-delta, delta))
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _cut(image: Image.Image, window: np.ndarray) -> Image.Image:
    """Return the part of the image in the window; beyond the image it is FILL."""
    x0, y0, x1, y1 = window.tolist()
    if x0 >= 0 and y0 >= 0 and x1 <= image.width and y1 <= image.height:
        return image.crop((x0, y0, x1, y1))
    canvas = Image.new("RGB", (x1 - x0, y1 - y0), FILL)
    canvas.paste(image, (-x0, -y0))
    return canvas
