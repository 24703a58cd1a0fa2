"""How much to do: smoke for tests, standard for a real result, full for the original's training.

smoke and standard train with AdamW and one cycle of the learning rate, made for few epochs. full
trains as the original: RMSProp in steps, a tenth of the rate on all filters but the heads', and as
many epochs.
"""

import math
from dataclasses import dataclass

import paddle

from utils.optimizers import ORIGINAL_CONV_RATE, one_cycle, original

FINE_TUNE_RATE = 4e-4
"""Peak learning rate after a cut: a trained network needs smaller steps than a new one."""
BASELINE_RATE = 1e-3
RECONSTRUCT_IMAGES = 160
"""Images that a cut network is repaired on."""


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
    baseline_epochs: int
    """Training of a baseline first, where the data are not the shipped one's."""
    reconstruct_images: int = RECONSTRUCT_IMAGES
    """Images that the cut network is repaired on."""
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


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", trainval=32, test=16, batch_size=8, epochs=1, baseline_epochs=1),
        Profile("standard", trainval=1000, test=250, batch_size=8, epochs=1, baseline_epochs=4),
        # 200 epochs stand in the original's compress.yaml; 120 trained the network that it prunes.
        Profile(
            "full",
            trainval=None,
            test=None,
            batch_size=64,
            epochs=200,
            baseline_epochs=120,
            conv_rate=ORIGINAL_CONV_RATE,
        ),
    )
}
