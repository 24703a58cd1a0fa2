"""Feeds batches of a split to a static Program: preprocessing, seeded order, DataLoader."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import paddle
from paddle.base.data_feeder import convert_dtype
from PIL import Image

from ssd_model.data.augment import Augmentation
from ssd_model.data.kept import KEPT
from ssd_model.data.picture import open_image
from ssd_model.data.records import Record, Split
from ssd_model.place import default_place

__all__ = [
    "FEED_NAMES",
    "DetectionDataset",
    "FeedLoader",
    "SeededBatches",
    "collate",
    "make_loader",
    "open_image",
    "preprocess",
]

FEED_NAMES = ("image", "gt_box", "gt_label", "gt_difficult")
MEAN = 127.5
SCALE = 0.007843  # as the original; close to 1 / 127.5
PADDING_LABEL = -1
MARGIN = 2
"""The longer side of an image to train on, at most, as a multiple of the network's: a crop of half
its side still has a pixel for each of the network's."""

Item = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def preprocess(image: Image.Image, size: int = 300) -> np.ndarray:
    """Return an RGB image as the network takes it: float32 [3, size, size], BGR, about -1..1.

    The sides are stretched to `size`, bilinear where the original took Lanczos; then
    (value - 127.5) * 0.007843 as there.
    """
    return _normalise(_stretch(image, size))


def _stretch(image: Image.Image, size: int) -> Image.Image:
    return image.resize((size, size), Image.Resampling.BILINEAR)


def _normalise(image: Image.Image) -> np.ndarray:
    bgr = np.asarray(image)[:, :, ::-1].transpose(2, 0, 1).astype(np.float32, order="C")
    bgr -= MEAN
    bgr *= SCALE
    return bgr


class DetectionDataset(paddle.io.Dataset):
    """Images and ground truth of a split, for items (epoch, index); a plain index is epoch 0.

    An item is image float32 [3, S, S] as of `preprocess`, boxes float32 [G, 4] in 0..1,
    labels int64 [G] from 1, difficult bool [G]. With augmentation it depends on seed, epoch
    and index only: not on the order, nor on the worker that makes it.

    A photograph whose longer side is above MARGIN * image_size is decoded once, and its small
    copy kept as far as memory allows (`KEPT`): for evaluation the very pixels that `preprocess`
    would make, for training an image of that side.
    """

    def __init__(
        self,
        split: Split,
        augmentation: Augmentation | None = None,
        *,
        seed: int = 0,
        image_size: int = 300,
    ) -> None:
        super().__init__()
        self.split = split
        self.augmentation = augmentation
        self.seed = seed
        self.image_size = image_size
        self.largest = MARGIN * image_size

    def __len__(self) -> int:
        return len(self.split.records)

    def __getitem__(self, item: int | tuple[int, int]) -> Item:
        """Raises DataError if the image cannot be read."""
        epoch, index = item if isinstance(item, tuple) else (0, item)
        record = self.split.records[index]
        truth = record.boxes, record.labels, record.difficult
        size = self.image_size
        if self.augmentation is None:
            small = self._copy(record, size, lambda: _stretch(record.open(), size))
            return _normalise(small), *truth
        image = self._copy(record, f"training {size}", lambda: record.open(self.largest))
        rng = np.random.default_rng([self.seed, epoch, index])
        image, *truth = self.augmentation(image, *truth, rng)
        return preprocess(image, size), *truth

    def _copy(
        self, record: Record, size: int | str, make: Callable[[], Image.Image]
    ) -> Image.Image:
        large = max(record.width, record.height) > self.largest
        return KEPT.get(record, size, make) if large else make()


class SeededBatches(paddle.io.BatchSampler):
    """Batches of (epoch, index) pairs, in an order that depends on seed and epoch only.

    Call `set_epoch` before each pass; the last batch may be smaller. Several workers share every
    batch: each image goes to one of them.
    """

    def __init__(
        self,
        dataset: paddle.io.Dataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset, shuffle=shuffle, batch_size=batch_size)
        self.count = len(dataset)
        self.seed = seed
        self.epoch = 0
        self.worker, self.workers = 0, 1

    def set_epoch(self, epoch: int, worker: int = 0, workers: int = 1) -> None:
        """Choose the order, the augmentation and the share of the passes that follow.

        Args:
            worker: whose share of every batch comes.
            workers: how many share; `batch_size` is that of all together.
        """
        self.epoch, self.worker, self.workers = epoch, worker, workers

    def sizes(self) -> list[tuple[int, int]]:
        """For every batch, the images in this worker's share and in the whole.

        Where the last batch has fewer images than there are workers, some have a share of 0: they
        get its first image to run on, which must not count.
        """
        return [(len(batch[self.worker :: self.workers]), len(batch)) for batch in self._batches()]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        # A list, made at once: a later set_epoch must not change a pass that has begun.
        return iter([batch[self.worker :: self.workers] or batch[:1] for batch in self._batches()])

    def _batches(self) -> list[list[tuple[int, int]]]:
        order = np.arange(self.count)
        if self.shuffle:
            np.random.default_rng([self.seed, self.epoch]).shuffle(order)
        pairs = [(self.epoch, int(index)) for index in order]
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return [pairs[start : start + self.batch_size] for start in starts]


def collate(items: Sequence[Item]) -> Item:
    """Stack N items; pad their ground truth to the largest count M of them, at least 1.

    Returns image float32 [N, 3, S, S], gt_box float32 [N, M, 4] (padding 0), gt_label int32
    [N, M] (padding -1), gt_difficult int32 [N, M] (padding 0).
    """
    count = max(1, *(len(labels) for _, _, labels, _ in items))
    gt_box = np.zeros((len(items), count, 4), np.float32)
    gt_label = np.full((len(items), count), PADDING_LABEL, np.int32)
    gt_difficult = np.zeros((len(items), count), np.int32)
    for row, (_, boxes, labels, difficult) in enumerate(items):
        gt_box[row, : len(boxes)] = boxes
        gt_label[row, : len(labels)] = labels
        gt_difficult[row, : len(difficult)] = difficult
    return np.stack([image for image, *_ in items]), gt_box, gt_label, gt_difficult


class _Guarded(paddle.io.Dataset):
    """Keeps the error of an item and ends the pass there.

    Paddle's prefetching thread dies of any other error without closing its queue, and the
    reader of the queue then waits for ever.
    """

    def __init__(self, dataset: paddle.io.Dataset) -> None:
        super().__init__()
        self.dataset = dataset
        self.error: Exception | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: tuple[int, int]) -> Item:
        try:
            return self.dataset[item]
        except Exception as error:
            self.error = error
            raise StopIteration from error


class FeedLoader(paddle.io.DataLoader):
    """A DataLoader that raises the error of a broken item in the loop that reads it."""

    def __iter__(self) -> Iterator[Any]:
        self.dataset.error = None  # of a pass before
        yield from super().__iter__()
        if self.dataset.error:
            raise self.dataset.error

    def __reduce__(self) -> tuple:
        inputs = [(v.name, v.shape, convert_dtype(v.dtype)) for v in self.feed_list]
        return _in_another_process, (inputs, self.dataset, self.batch_sampler)


def _in_another_process(
    inputs: list[tuple], dataset: _Guarded, batches: SeededBatches
) -> FeedLoader:
    """A copy of a loader, for which Variables must be made: its Program's are not here."""
    with paddle.static.program_guard(paddle.static.Program()):
        return _feed_loader(dataset, [paddle.static.data(*one) for one in inputs], batches)


def _feed_loader(
    dataset: _Guarded, feed_list: Sequence[paddle.static.Variable], batches: SeededBatches
) -> FeedLoader:
    return FeedLoader(
        dataset,
        feed_list=list(feed_list),
        places=default_place(),
        return_list=False,
        batch_sampler=batches,
        collate_fn=collate,
    )


def make_loader(
    split: Split,
    feed_list: Sequence[Any],
    batch_size: int,
    *,
    augmentation: Augmentation | None = None,
    shuffle: bool = False,
    seed: int = 0,
    image_size: int = 300,
) -> FeedLoader:
    """Return a DataLoader whose batches go to `exe.run(program, feed=batch)`.

    feed_list: the input Variables of the Program, named as FEED_NAMES and in that order.
    A thread decodes while the executor computes. For training call
    `loader.batch_sampler.set_epoch(epoch)` before each pass.

    Raises ValueError if the names do not fit. Iterating raises DataError if an image cannot be
    read.
    """
    names = tuple(variable.name for variable in feed_list)
    if names != FEED_NAMES:
        raise ValueError(f"feed_list is {names}, want the variables {FEED_NAMES}")
    dataset = DetectionDataset(split, augmentation, seed=seed, image_size=image_size)
    batches = SeededBatches(dataset, batch_size, shuffle=shuffle, seed=seed)
    return _feed_loader(_Guarded(dataset), feed_list, batches)
