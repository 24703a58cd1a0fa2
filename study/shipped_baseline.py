"""Train the shipped baseline from nothing: `make baseline`.

Two phases, small images first: most of what the network learns does not need 300 pixels, and
160 cost a third. Killed at any moment, it goes on from the last whole epoch; two at a time in one
folder are refused.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from pruning.checkpoints import CheckpointError
from ssd_model.data.folder import read_data
from ssd_model.data.scenes import write_scenes
from ssd_model.files import write_file
from ssd_model.lock import LockError, lock
from ssd_model.optimizers import one_cycle
from ssd_model.weights import save_weights
from utils.paths import BASELINE, BUILD
from utils.training import train
from utils.workspace import SIGNS_AUGMENTATION

# More scenes than the notebooks use; the first thousand, and the test scenes, are the same.
SCENES = 3000


@dataclass(frozen=True)
class Phase:
    """Training at one image size."""

    image_size: int
    epochs: int
    batch_size: int
    peak_rate: float

    @property
    def name(self) -> str:
        return f"{self.image_size}px"


PHASES = (Phase(160, 14, 16, 3e-3), Phase(300, 6, 8, 1e-3))


def train_phase(phase: Phase, data_dir: Path, folder: Path, start: Path | None) -> Path:
    """Train for one phase, unless its result is there.

    Args:
        start: weights to begin with; None for random ones.

    Returns:
        The weights file, float16; beside it lies the learning curve.
    """
    result = folder / f"{phase.name}.safetensors"
    if result.exists():
        print(f"{phase.name}: {result} is there already")
        return result
    trainval, test = read_data(data_dir, "trainval"), read_data(data_dir, "test")
    steps = phase.epochs * math.ceil(len(trainval.records) / phase.batch_size)
    trained = train(
        trainval,
        test,
        one_cycle(phase.peak_rate, steps),
        phase.epochs,
        folder / phase.name,
        augmentation=SIGNS_AUGMENTATION,
        batch_size=phase.batch_size,
        start=start,
        image_size=phase.image_size,
    )
    curve = trained.history.frame().assign(phase=phase.name)
    _write_table(result.with_suffix(".csv"), curve)
    metadata = {
        "classes": json.dumps(trainval.classes),
        "map": f"{trained.history.value('map', 'finetuned'):.4f}",
    }
    save_weights(trained.evaluation.program, result, trained.scope, "float16", metadata)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the shipped baseline from nothing.")
    parser.add_argument("--folder", type=Path, default=BUILD / "baseline", help="to work in")
    parser.add_argument("--out", type=Path, default=BASELINE, help="weights file to write")
    arguments = parser.parse_args()
    try:
        with lock(arguments.folder):
            train_phases(arguments.folder, arguments.out)
    except (LockError, CheckpointError, OSError) as error:
        sys.exit(str(error))
    print(f"baseline: {arguments.out}")


def train_phases(folder: Path, out: Path) -> None:
    """Train all phases in a folder; write the weights, and beside them the learning curve."""
    data_dir = write_scenes(BUILD / "data" / "signs-baseline", trainval=SCENES)
    weights = None
    for phase in PHASES:
        weights = train_phase(phase, data_dir, folder, weights)
    curves = pd.concat(pd.read_csv(folder / f"{phase.name}.csv") for phase in PHASES)
    _write_table(out.with_suffix(".csv"), curves)
    plot_curve(curves).savefig(out.with_suffix(".png"), dpi=100)
    write_file(out, weights.read_bytes())


def plot_curve(curve: pd.DataFrame) -> Figure:
    """Loss and mAP of training in phases, epoch by epoch.

    Args:
        curve: columns stage, phase, loss, map; a row an epoch.
    """
    rows = curve[curve["epoch"] > 0].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    losses = axes.twinx()
    for phase, part in rows.groupby("phase", sort=False):
        axes.plot(part.index + 1, part["map"], "o-", label=f"mAP, {phase}")
        losses.plot(part.index + 1, part["loss"], ":", color="grey")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="epoch", ylabel="mAP on the test images", ylim=(0, 1))
    losses.set(ylabel="loss (dotted)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center")
    return figure


def _write_table(path: Path, table: pd.DataFrame) -> None:
    write_file(path, table.to_csv(index=False).encode())


if __name__ == "__main__":
    main()
