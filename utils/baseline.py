"""Train a baseline on data that the shipped weights do not know.

One cycle of the learning rate after another: small images first, since most of what is learnt
does not need 300 pixels, and more small ones fit into the same time; they are shown from nearer
by. How long a cycle is counts in images seen, not in epochs, so that a small set is gone through
more often. Each cycle keeps its best epoch, by mAP on a validation split, which is neither trained
nor tested on, and the next goes on from it. Only the last third of a cycle counts, when the rate
has come down: until then the best of many epochs, measured on few images, is mostly lucky. Then a
closing cycle, at the network's own size, trains on that split, too, since small sets have no images
to spare.
"""

import json
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import paddle

from pruning.checkpoints import read_best
from ssd_model import kernels
from ssd_model.data.loader import make_loader
from ssd_model.data.readers import feeds
from ssd_model.data.text import counted
from ssd_model.files import write_file, write_json
from ssd_model.optimizers import one_cycle
from ssd_model.place import default_place
from ssd_model.programs import build_detector, new_scope
from ssd_model.scope import empty_scope, write_tensor
from ssd_model.weights import save_weights
from utils.profiles import BASELINE_MINUTES
from utils.training import Trained, fine_tune, train
from utils.workspace import MAX_SEED, Workspace

WEAK = 0.5
"""Below this mAP a baseline is hardly worth pruning."""


@dataclass(frozen=True)
class Cycle:
    """Training at one image size, the learning rate rising once and falling to nothing."""

    name: str
    image_size: int
    epochs: int
    peak_rate: float
    seed: int
    """Of order, augmentation and fresh weights. Were it the same for all, each cycle, and then
    fine-tuning, would show the same views of the images again, to be learnt by heart."""
    closing: bool = False
    """On all images to train on, the validation split among them; the last epoch counts."""


@dataclass(frozen=True)
class _Shape:
    image_size: int
    images_seen: int
    peak_rate: float
    closing: bool = False


SHAPES = (
    _Shape(160, 16_500, 2e-3),
    _Shape(224, 18_000, 2e-3),
    _Shape(300, 15_500, 1e-3, closing=True),
)
EVALUATION = 1 / 3
"""Time to evaluate an image, as a share of the time to train on it."""
ORIGINAL_EPOCHS = 120
"""That trained the network which the original pruned: the default of PaddleCV/ssd/train.py."""


def train_baseline(work: Workspace) -> None:
    """Train the network to prune, and save it as `work.baseline`; what was stopped is resumed.

    It starts from `work.pretrained`, as far as that fits. The schedule is decided once and kept
    beside the checkpoints: a machine that is busier tomorrow does not change it.
    """
    folder = work.checkpoints / "baseline"
    result = work.pretrained
    for cycle in _cycles(work, folder):
        if cycle.closing:
            print("closing cycle: on all images, validation too; the test mAP decides nothing")
            name = f"{folder.name}/{cycle.name}"
            trained = fine_tune(work, name, cycle.epochs, result, cycle.peak_rate, cycle.seed)
        else:
            trained = _train(work, cycle, folder / cycle.name, result)
        result = folder / f"{cycle.name}.safetensors"
        metadata = {"classes": json.dumps(work.classes)}
        save_weights(trained.evaluation.program, result, trained.scope, "float16", metadata)
        empty_scope(trained.scope)
    write_file(work.baseline, result.read_bytes())


def warn_if_weak(map_baseline: float, work: Workspace) -> None:
    """Say so if a baseline is hardly worth pruning, and what to do.

    Args:
        map_baseline: on the test images.
    """
    if not map_baseline < WEAK:
        return
    images = counted(len(work.trainval.records), "image")
    if work.profile.name == "smoke":
        what = (
            f"The profile smoke trains on only {images}, to try everything out: "
            "use PROFILE=standard."
        )
    else:
        what = (
            "Train it longer (more MINUTES= or EPOCHS=), start from weights of a similar task "
            "(PRETRAINED=...), look for wrong boxes (make check-data), or label more: there are "
            f"{images} for {counted(len(work.classes), 'class')}."
        )
    told = (
        f"The baseline is weak: mAP {map_baseline:.2f}, below {WEAK:g}. What pruning costs such a "
        f"network says little about a good one. {what}"
    )
    print(textwrap.fill(told, 80))


def _train(work: Workspace, cycle: Cycle, folder: Path, start: Path) -> Trained:
    """One cycle; the scope then holds the best epoch of its last third, by the validation split."""
    best_from = cycle.epochs - max(1, cycle.epochs // 3) + 1
    trained = train(
        work.training,
        work.validation,
        work.profile.optimizer(len(work.training.records), cycle.epochs, cycle.peak_rate),
        cycle.epochs,
        folder,
        augmentation=work.nearer_views if cycle.image_size < 300 else work.augmentation,
        batch_size=work.profile.batch_size,
        start=start,
        image_size=cycle.image_size,
        seed=cycle.seed,
        best_from=best_from,
        conv_rate=work.profile.conv_rate,
    )
    arrays, epoch = read_best(folder, "map", best_from)
    for name in (p.name for p in trained.evaluation.program.all_parameters()):
        write_tensor(trained.scope, name, arrays[name])
    value = max(row["map"] for row in trained.history.rows if row["epoch"] == epoch)
    images = counted(len(work.validation.records), "validation image")
    print(f"{cycle.name}: best after epoch {epoch} of {cycle.epochs}, mAP {value:.3f} on {images}")
    return trained


def _cycles(work: Workspace, folder: Path) -> Iterator[Cycle]:
    """The schedule, decided now or when this training began."""
    file = folder / "schedule.json"
    if not file.exists():
        sizes = {300, *(shape.image_size for shape in _shapes(work))}  # 300 is fine-tuning's
        seconds = {size: seconds_an_image(work, size) for size in sorted(sizes)}
        cycles, minutes, usual = plan_cycles(work, seconds)
        passes = ", ".join(f"{c.epochs} at {c.image_size} px" for c in cycles)
        later = 2 * work.epochs * len(work.trainval.records) * seconds[300] / 60
        minutes, usual, later = (max(1, round(m)) for m in (minutes, usual, later))
        instead = f" instead of {usual}" if minutes != usual else ""
        told = (
            f"training a baseline on {counted(len(work.training.records), 'image')}: "
            f"{sum(c.epochs for c in cycles)} epochs ({passes}), which take about "
            f"{minutes} min here{instead}. Fine-tuning the pruned network and the "
            f"control then takes about {later} min. Shorter or longer: MINUTES=, EPOCHS="
        )
        print(textwrap.fill(told, 80))
        write_json(file, [asdict(cycle) for cycle in cycles])
    return (Cycle(**cycle) for cycle in json.loads(file.read_text()))


def plan_cycles(work: Workspace, seconds: dict[int, float]) -> tuple[list[Cycle], float, float]:
    """The cycles of a baseline, the minutes that they take, and those without a budget.

    Args:
        work: its options set `epochs` (of all cycles), `minutes`, `batch_size`, `learning_rate`.
        seconds: of an image in training, by image size.
    """
    options, images, shapes = work.options, len(work.training.records), _shapes(work)
    validated, tested = len(work.validation.records), len(work.test.records)
    sets = [images + validated * shape.closing for shape in shapes]
    epochs = [max(1, round(s.images_seen / n)) for s, n in zip(shapes, sets, strict=True)]
    if options.epochs:
        epochs = _scaled(epochs, options.epochs / sum(epochs))
    costs = [
        (n + EVALUATION * (tested if shape.closing else validated)) * seconds[shape.image_size]
        for shape, n in zip(shapes, sets, strict=True)
    ]
    usual = float(np.dot(epochs, costs)) / 60
    limited = work.profile.name == "standard" and not options.epochs
    budget = options.minutes or (min(usual, BASELINE_MINUTES) if limited else usual)
    epochs = _scaled(epochs, budget / usual)
    cycles = [
        Cycle(
            f"{shape.image_size}px-{i}",
            shape.image_size,
            count,
            options.learning_rate or shape.peak_rate,
            int(np.random.SeedSequence([work.seed, i]).generate_state(1)[0]) % MAX_SEED,
            shape.closing,
        )
        for i, (shape, count) in enumerate(zip(shapes, epochs, strict=True), start=1)
    ]
    return cycles, float(np.dot(epochs, costs)) / 60, usual


def _shapes(work: Workspace) -> Sequence[_Shape]:
    """The shapes of a baseline's cycles in this profile."""
    images = len(work.training.records)
    if work.profile.name == "smoke":
        return [replace(shape, images_seen=images) for shape in (SHAPES[0], SHAPES[-1])]
    if work.profile.name == "full":  # the original's, whatever the data
        return [_Shape(300, images * ORIGINAL_EPOCHS, SHAPES[-1].peak_rate)]
    return SHAPES


def _scaled(epochs: list[int], factor: float) -> list[int]:
    """Lengthen or shorten cycles; their sum is exact, but none has less than one epoch."""
    ends = np.rint(np.cumsum([0, *epochs]) * factor)
    return np.diff(ends).clip(1).astype(int).tolist()


def seconds_an_image(work: Workspace, image_size: int) -> float:
    """Seconds that an image takes in training here, measured on the last of a few batches."""
    training = build_detector(work.class_num, True, one_cycle(1e-6, 10), image_size)
    kernels.use_onednn(training.program)
    scope, executor = new_scope(training), paddle.static.Executor(default_place())
    size = work.profile.batch_size
    options = {"augmentation": work.augmentation, "image_size": image_size}
    loader = make_loader(work.training, training.feed_list, size, **options)
    # The first pass is slower: images are decoded, memory is asked for, kernels are chosen. So are
    # the first batches of each, while the loader fills its queue beside them.
    for _ in range(2):
        times = [time.perf_counter()]
        for feed in islice(feeds(loader), 7):
            executor.run(training.program, feed=feed, fetch_list=[training.loss], scope=scope)
            times.append(time.perf_counter())
    empty_scope(scope)
    return float(np.median(np.diff(times)[-4:])) / min(size, len(work.training.records))
