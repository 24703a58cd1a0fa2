"""One run of the workbook: its data, its schedule, and the places of its files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pruning.init_model import check_unpruned
from ssd_model import workers
from ssd_model.data.augment import Augmentation
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.data.records import Split
from ssd_model.data.scenes import write_scenes
from ssd_model.data.text import counted
from ssd_model.files import digest_of
from ssd_model.programs import Detector, build_detector, new_scope
from ssd_model.scope import empty_scope
from ssd_model.weights import read_tensors
from utils.paths import BASELINE, ROOT, relative
from utils.profiles import (
    FINE_TUNE_IMAGES,
    FINE_TUNE_RATE,
    OWN_FINE_TUNE_RATE,
    PROFILES,
    Options,
    Profile,
)

# Drawn signs are not flipped, since no sign says 07; and distant ones are small enough already.
SIGNS_AUGMENTATION = Augmentation(flip_prob=0, expand_max=2)
# Most objects are then nearly as large as in the images to test on; a short training would not
# learn other sizes as well.
OWN_AUGMENTATION = Augmentation(expand_max=1.5, min_scale=0.5)
EVAL_BATCH = 8
MAX_SEED = 10**9  # Paddle adds to a seed, and keeps it in 32 bits
VALIDATION_SHARE = 0.15


class Workspace:
    """A run of the workbook, as its notebooks' parameters describe it.

    Args:
        output: folder for everything that is generated, relative to the project.
        data_dir: a VOC or COCO folder; empty for the road-sign scenes, which are drawn if missing.
        profile: 'smoke', 'standard' or 'full'.
        seed: the seed for shuffling, augmentation and fresh weights.
        options: fields of `Options`, by name.

    Raises:
        ValueError: there is no such profile, or the seed, an option or `WORKERS` is out of range.
        TypeError: there is no such option.
        WeightsError: no baseline can start from the option `pretrained`, see `check_unpruned`.
    """

    def __init__(
        self,
        output: str,
        data_dir: str = "",
        profile: str = "standard",
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ):
        if profile not in PROFILES:
            raise ValueError(f"profile is {profile!r}: use one of {', '.join(PROFILES)}")
        if not 0 <= seed <= MAX_SEED:
            raise ValueError(f"seed is {seed}: it must lie between 0 and {MAX_SEED:,}")
        count = workers.expected()  # refused here, not after minutes of other work
        self.output = ROOT / Path(output).expanduser()
        self.options = Options(**(options or {}))
        batch_size = self.options.batch_size or PROFILES[profile].batch_size
        if batch_size % count:
            raise ValueError(f"BATCH_SIZE={batch_size} must be a multiple of WORKERS={count}")
        self.profile: Profile = replace(PROFILES[profile], batch_size=batch_size)
        self.seed = seed
        self.drawn = not data_dir
        self.data_dir = self._scenes if self.drawn else ROOT / Path(data_dir).expanduser()
        self.config_file = self.output / "compress.yaml"
        self.pruned_file = self.output / "pruned.safetensors"
        self.control_file = self.output / "control.safetensors"
        self.report_file = self.output / "report.json"
        self.reports = self.output / "reports"
        if self.options.pretrained:
            detector = build_detector(2, is_train=False)
            scope = new_scope(detector)
            check_unpruned(self.pretrained, detector.program, scope)
            empty_scope(scope)

    def __str__(self) -> str:
        names, why = (), ""
        if self.drawn and not self.options.pretrained:
            names = "minutes", "epochs", "learning_rate"
            why = "the baseline of the road signs is trained already"
        elif self.profile.name == "full":
            names, why = ("learning_rate",), "the profile full has the original's"
        idle = [name for name in names if getattr(self.options, name)]
        note = f"\n{', '.join(idle)} not used: {why}" if idle else ""
        return (
            f"profile {self.profile.name}: {counted(len(self.trainval.records), 'image')} to train "
            f"on, {len(self.test.records):,} to test on, {counted(len(self.classes), 'class')}, "
            f"from {relative(self.data_dir)}{note}"
        )

    @cached_property
    def trainval(self) -> Split:
        """The images to train on."""
        return self._read("trainval", self.profile.trainval)

    @cached_property
    def test(self) -> Split:
        """The images to evaluate on."""
        return self._read("test", self.profile.test)

    @cached_property
    def validation(self) -> Split:
        """Images of `trainval` that only choose a baseline: the folder's val list, or a sample."""
        return self._parted[1]

    @cached_property
    def training(self) -> Split:
        """The images of `trainval` that are not in `validation`."""
        return self._parted[0]

    @cached_property
    def _parted(self) -> tuple[Split, Split]:
        records = self.trainval.records
        chosen = {i for i, record in enumerate(records) if record.validation}
        if not 0 < len(chosen) < len(records):
            order = np.random.default_rng(self.seed).permutation(len(records))
            chosen = set(order[: max(1, round(VALIDATION_SHARE * len(records)))].tolist())
        parts = [
            [r for i, r in enumerate(records) if (i in chosen) == is_] for is_ in (False, True)
        ]
        if not parts[0]:
            raise ValueError(f"{len(records)} image cannot be split: add images to train on")
        return tuple(
            replace(self.trainval, name=name, records=part)
            for name, part in zip(("training", "validation"), parts, strict=True)
        )

    @property
    def epochs(self) -> int:
        """Epochs of fine-tuning and of the control: more for small sets and for long baselines."""
        if self.drawn or self.profile.name != "standard":
            return self.profile.epochs
        images = len(self.trainval.records)
        seen = FINE_TUNE_IMAGES * self.options.length(images)
        return max(self.profile.epochs, round(seen / images))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, without the background."""
        return self.trainval.classes

    @property
    def class_num(self) -> int:
        """The number of classes, with the background."""
        return len(self.classes) + 1

    @cached_property
    def key(self) -> str:
        """A short hash of the run and its data, for files that other runs must not reuse."""
        views = [asdict(kind) for kind in (self.augmentation, self.nearer_views)]
        options = {**asdict(self.options), "flip": views}
        if self.options.pretrained:  # what is in it, wherever it lies
            options["pretrained"] = digest_of(self.pretrained)
        digest = hashlib.sha256(json.dumps([self.settings, options]).encode())
        for record in self.trainval.records + self.test.records:
            digest.update(record.image.name.encode())
            digest.update(digest_of(record.image).encode())
            digest.update(bytes([record.validation, record.upright]))
            for array in (record.boxes, record.labels, record.difficult):
                digest.update(array)
        return digest.hexdigest()[:12]

    @property
    def checkpoints(self) -> Path:
        """The folder for this run's checkpoints."""
        return self.output / "checkpoints" / self.key

    @property
    def settings(self) -> dict[str, Any]:
        """A description of the run, for the report."""
        return {
            "profile": self.profile.name,
            "data": relative(self.data_dir),
            "classes": list(self.classes),
            "seed": self.seed,
        }

    @cached_property
    def baseline(self) -> Path:
        """The weights to prune: shipped for the road signs, otherwise trained on the data."""
        _, metadata = read_tensors(BASELINE)
        known = json.loads(metadata["classes"]) == list(self.classes)
        if known and not self.options.pretrained:
            return BASELINE
        return self.output / f"baseline-{self.key}.safetensors"

    @property
    def pretrained(self) -> Path:
        """The weights that a baseline starts from."""
        said = self.options.pretrained
        return ROOT / Path(said).expanduser() if said else BASELINE

    @property
    def augmentation(self) -> Augmentation:
        """That of the drawn signs or of one's own data; with `full`, these have the original's."""
        full, flip = self.profile.name == "full", self.options.flip
        own = Augmentation() if full else OWN_AUGMENTATION
        usual = SIGNS_AUGMENTATION if self.drawn else own
        return usual if flip is None else replace(usual, flip_prob=0.5 if flip else 0)

    @property
    def nearer_views(self) -> Augmentation:
        """The augmentation of images smaller than the network's own: it only zooms in, so that
        objects have about as many pixels as at 300 (Touvron et al. 2019, arXiv:1906.06423)."""
        return replace(self.augmentation, expand_prob=0, min_scale=0.3)

    def optimizer(self, epochs: int, peak_rate: float | None = None) -> paddle.optimizer.Optimizer:
        """Make the optimizer for this many epochs on these data; by default, to fine-tune."""
        rate = peak_rate or (FINE_TUNE_RATE if self.drawn else OWN_FINE_TUNE_RATE)
        return self.profile.optimizer(len(self.trainval.records), epochs, rate)

    def train_loader(self, detector: Detector) -> paddle.io.DataLoader:
        """Load augmented batches, shuffled anew each epoch, for the Program's feed list."""
        return make_loader(
            self.trainval,
            detector.feed_list,
            self.profile.batch_size,
            augmentation=self.augmentation,
            shuffle=True,
            seed=self.seed,
        )

    def eval_loader(self, detector: Detector) -> paddle.io.DataLoader:
        """Load the test images, in order, for the Program's feed list."""
        return make_loader(self.test, detector.feed_list, EVAL_BATCH)

    def validation_loader(self, detector: Detector) -> paddle.io.DataLoader:
        """Load the images that decisions are based on, so that none is based on test images."""
        return make_loader(self.validation, detector.feed_list, EVAL_BATCH)

    @property
    def _scenes(self) -> Path:
        is_smoke = self.profile.name == "smoke"
        return self.output / "data" / ("signs-smoke" if is_smoke else "signs")

    def _read(self, split: str, limit: int | None) -> Split:
        """Read a split; the road-sign scenes are drawn first if they are missing."""
        if self.drawn:
            few = {"trainval": self.profile.trainval, "test": self.profile.test}
            if not self.data_dir.exists():
                print("drawing the road-sign scenes; this takes up to a minute, once")
            write_scenes(self.data_dir, **(few if self.profile.name == "smoke" else {}))
        return read_data(self.data_dir, split, limit)
