"""How much to do: smoke for tests, standard for a real result, full for the original's training.

smoke and standard train with AdamW and one cycle of the learning rate, made for few epochs. full
trains as the original: RMSProp in steps, a tenth of the rate on all filters but the heads', and as
many epochs.
"""

import math
from dataclasses import dataclass

import paddle

from ssd_model.optimizers import ORIGINAL_CONV_RATE, one_cycle, original

FINE_TUNE_RATE, OWN_FINE_TUNE_RATE = 4e-4, 1e-3
"""Peak learning rate after a cut: for the drawn signs' network, which was trained for hours, and
for one trained on own data in less, where larger steps still gain more."""
RECONSTRUCT_IMAGES = 160
"""Images that a pruned network is reconstructed on."""
FINE_TUNE_IMAGES = 6000
"""Images that fine-tuning sees at least, on data other than the drawn road signs: so many made up
for half of the work in results/, within 0.02 mAP of the control; half as many did not quite."""
LARGEST = 1_000_000
"""Of the numbers that a user may give."""
BASELINE_IMAGES, BASELINE_MINUTES = 50_000, 40
"""Images that training a baseline sees, and how many minutes that may take by default."""


@dataclass(frozen=True)
class Profile:
    """Sizes and schedule of a run."""

    name: str
    trainval: int | None
    """Images to train on at most; None for all."""
    test: int | None
    """Images to evaluate on at most; None for all."""
    batch_size: int
    epochs: int
    """Fine-tuning of the pruned network, and of the control."""
    reconstruct_images: int = RECONSTRUCT_IMAGES
    """Images that the pruned network is reconstructed on."""
    conv_rate: float = 1.0
    """Learning rate of the convolutions, see `mobilenet_ssd`."""

    def optimizer(self, images: int, epochs: int, peak_rate: float) -> paddle.optimizer.Optimizer:
        """The optimizer for a run of so many epochs over so many images.

        Args:
            peak_rate: highest learning rate; the original's schedule has its own.
        """
        if self.name == "full":
            return original(images, self.batch_size)
        return one_cycle(peak_rate, math.ceil(images / self.batch_size) * epochs)


@dataclass(frozen=True)
class Options:
    """What a user may say about training; None leaves it to the profile."""

    minutes: float | None = None
    """How long training a baseline may take, about."""
    epochs: int | None = None
    """Of training a baseline, all its cycles together."""
    batch_size: int | None = None
    learning_rate: float | None = None
    """Peak of the learning rate while a baseline is trained."""
    pretrained: str | None = None
    """Weights that a baseline starts from; the shipped ones otherwise."""
    flip: bool | None = None
    """Whether half of the images are flipped left to right in training; by default one's own data
    are, the drawn signs are not."""

    def length(self, images: int) -> float:
        """How long training shall take, as a multiple of what is usual for so many images."""
        if self.minutes:
            return self.minutes / BASELINE_MINUTES
        return self.epochs * images / BASELINE_IMAGES if self.epochs else 1.0

    def __post_init__(self):
        for name, value in vars(self).items():
            kind = int if name in ("epochs", "batch_size") else int | float
            if name in ("pretrained", "flip") or value is None:
                continue
            if not isinstance(value, kind) or not 0 < value <= LARGEST:
                number = f"{'whole ' if kind is int else ''}number above 0, {LARGEST:,} at most"
                raise ValueError(f"{name} is {value!r}: it must be a {number}")
        if not isinstance(self.flip, bool | None):
            raise ValueError(f"flip is {self.flip!r}: it must be True or False")
        if self.minutes and self.epochs:
            raise ValueError("minutes and epochs both say how long to train: give one of them")


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", trainval=32, test=16, batch_size=8, epochs=1),
        Profile("standard", trainval=1000, test=250, batch_size=8, epochs=1),
        # 200 epochs stand in the original's compress.yaml.
        Profile(
            "full",
            trainval=None,
            test=None,
            batch_size=64,
            epochs=200,
            conv_rate=ORIGINAL_CONV_RATE,
        ),
    )
}
