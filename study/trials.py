"""The study behind results/: what pruning costs, over several ratios, seeds and methods.

`make results` runs what results/results.json lacks, one trial after another; remove that file and
build/results to run all. (`study.untrained` has files of its own.) A second `make results` beside
the first takes other trials. Killed, it goes on from the last whole epoch.
"""

import json
import math
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pruning.artifacts import Run
from pruning.criteria import CRITERIA, MEASURED
from pruning.cut import apply_plan
from pruning.dependencies import analyse
from pruning.plan import Plan
from ssd_model.data.folder import read_data
from ssd_model.data.loader import preprocess
from ssd_model.data.scenes import write_scenes
from ssd_model.export.inference_model import save_inference_model
from ssd_model.optimizers import one_cycle
from ssd_model.predict import compare_latency, predict
from ssd_model.programs import Lesson, build_detector, new_scope
from ssd_model.scope import empty_scope, read_tensor
from ssd_model.weights import load_weights
from study.machine import machine
from utils.paths import BASELINE, BUILD, ROOT
from utils.profiles import FINE_TUNE_RATE, RECONSTRUCT_IMAGES
from utils.report import make_report
from utils.training import Trained, train
from utils.workspace import SIGNS_AUGMENTATION

PATTERN = "conv2d_[1-9].w_0|conv2d_1[0-2].w_0"
ALL_LAYERS = "conv2d_([0-9]|1[0-9]|2[01]).w_0"
"""A budget is for all that can be cut: the first layer and the extra ones, too."""
SCENES = {"trainval": 3000, "test": 1000}
"""The notebooks' scenes are the first of these."""
DATA = BUILD / "data" / "signs-large"
BATCH_SIZE = 8
RECIPE = {"peak_rate": FINE_TUNE_RATE, **SCENES}
"""What all trials share, and a row must have been made with."""
EPOCHS = 2
"""Passes of fine-tuning in the standard recipe."""
ROUNDS, RUNS = 12, 12
"""Latency: processes of each network, and timed runs in each."""


@dataclass(frozen=True)
class Trial:
    """One network, pruned and fine-tuned."""

    target_ratio: float = 0.0
    """Share of the FLOPs to cut; 0 for a control."""
    seed: int = 0
    strategy: str = "uniform"
    criterion: str = "l1_norm"
    reconstruct_images: int = RECONSTRUCT_IMAGES
    teacher: Lesson | None = None
    """What it learns from the unpruned network, besides the ground truth."""
    epochs: int = EPOCHS
    """Passes over the scenes, of a control as well."""

    @property
    def pattern(self) -> str:
        return ALL_LAYERS if self.strategy == "budget" else PATTERN

    @property
    def name(self) -> str:
        if not self.target_ratio:
            words = ["control"]
        else:
            words = [f"{self.target_ratio:g}", self.strategy, self.criterion]
            words += ["reconstructed"] * bool(self.reconstruct_images)
        words += [f"taught-{self.teacher}"] * bool(self.teacher)
        return "-".join([*words, f"epochs{self.epochs}", f"seed{self.seed}"])

    def config(self) -> dict[str, Any]:
        """The strategy, as arguments of `write_config`."""
        if not self.target_ratio:
            return {}
        return {
            "target_ratio": self.target_ratio,
            "pruned_params": self.pattern,
            "strategy": f"{self.strategy.capitalize()}PruneStrategy",
            "criterion": self.criterion,
            "reconstruct_images": self.reconstruct_images,
        }


SEEDS = (0, 1, 2)
TRIALS = (
    *(Trial(0.0, seed, reconstruct_images=0) for seed in SEEDS),
    # Channels chosen as in the original
    *(Trial(ratio) for ratio in (0.2, 0.5, 0.65)),
    # Channels chosen by what the layers behind cannot make up for
    *(
        Trial(ratio, seed, criterion="reconstruction")
        for ratio in (0.2, 0.5, 0.65)
        for seed in SEEDS
    ),
    *(Trial(ratio, strategy="budget", criterion="reconstruction") for ratio in (0.5, 0.65, 0.8)),
    # What helped, and what did not, after one pass
    *(
        Trial(ratio, reconstruct_images=0, teacher=teacher, epochs=1)
        for ratio in (0.0, 0.5)
        for teacher in (None, "outputs")
    ),
    *(Trial(0.5, epochs=1, criterion=criterion) for criterion in CRITERIA + MEASURED),
    Trial(0.5, epochs=1, criterion="reconstruction", teacher="features"),
)


def run_trial(trial: Trial) -> dict[str, Any]:
    """Prune, fine-tune and verify; a row for results.json, without sizes and latency."""
    data_dir = write_scenes(DATA, **SCENES)
    trainval, test = read_data(data_dir, "trainval"), read_data(data_dir, "test")
    steps = trial.epochs * math.ceil(len(trainval.records) / BATCH_SIZE)
    trained = train(
        trainval,
        test,
        one_cycle(RECIPE["peak_rate"], steps),
        trial.epochs,
        trial_folder(trial) / "checkpoints",
        augmentation=SIGNS_AUGMENTATION,
        batch_size=BATCH_SIZE,
        start=BASELINE,
        teacher=(trial.teacher, BASELINE) if trial.teacher else None,
        strategy=trial.config(),
        seed=trial.seed,
    )
    history = trained.history
    plan = Plan(analyse(trained.evaluation.program), history.ratios[0] if history.ratios else {})
    in_scope = {name: read_tensor(trained.scope, name).shape for name in plan.shapes}
    settings = {
        "name": trial.name,
        **asdict(trial),
        **RECIPE,
        "data": "road-sign scenes",
        "classes": list(trainval.classes),
    }
    images = np.stack([preprocess(record.open()) for record in test.records[:3]])
    report = make_report(
        settings,
        Run(history, trial.target_ratio, trial.pattern),
        shapes_match=in_scope == plan.shapes,
        outputs_max_abs_difference=_difference(trained, trial_folder(trial) / "heads", images),
    )
    empty_scope(trained.scope)
    return {**report, "ratios": history.ratios, "seconds": history.rows[-1]["seconds"], **_origin()}


def _difference(trained: Trained, prefix: Path, images: np.ndarray) -> float:
    """Largest difference between the raw outputs here and in a fresh process."""
    heads = [trained.evaluation.location, trained.evaluation.confidence]
    image = trained.evaluation.image
    save_inference_model(prefix, trained.program, image, heads, trained.scope)
    here = paddle.static.Executor().run(
        trained.program,
        feed={image.name: images},
        fetch_list=[head.name for head in heads],
        scope=trained.scope,
        use_prune=True,
    )
    there = predict(prefix, images).outputs
    return max(float(np.abs(a - b).max()) for a, b in zip(here, there, strict=True))


def measure(rows: list[dict[str, Any]]) -> None:
    """File size and latency of every network of the study, all in one go, in turns.

    They depend on the shapes alone, so the baseline's weights, cut as a row says, stand for all
    rows of the same ratios.
    """
    networks = {json.dumps(row["ratios"]): row["ratios"] for row in rows}
    prefixes, sizes = {}, {}
    for number, (key, prunings) in enumerate({"[]": [], **networks}.items()):
        detector = build_detector(len(rows[0]["classes"]) + 1, is_train=False)
        scope, program = new_scope(detector), detector.program
        load_weights(program, BASELINE, scope, strict=True)
        for ratios in prunings:
            (program,) = apply_plan(Plan(analyse(program), ratios), [program], scope)
        prefixes[key] = BUILD / "results" / "models" / str(number)
        outputs = [detector.nmsed_out, detector.counts]
        sizes[key] = save_inference_model(prefixes[key], program, detector.image, outputs, scope)
        empty_scope(scope)
    test = read_data(write_scenes(DATA, **SCENES), "test", limit=1)
    image = preprocess(test.records[0].open())[None]
    latency = compare_latency(prefixes, image, RUNS, ROUNDS)
    for row in rows:
        key = json.dumps(row["ratios"])
        row["file_bytes_before"], row["file_bytes_after"] = sizes["[]"], sizes[key]
        row["latency_ms_before"], row["latency_ms_after"] = latency["[]"], latency[key]
        row["latency_machine"] = machine()


def add_controls(rows: list[dict[str, Any]]) -> None:
    """Beside each pruned network's mAP, that of the control: same seed, same fine-tuning."""
    controls = {_tuning(row): row["map_finetuned"] for row in rows if not row["ratios"]}
    for row in rows:
        row["map_control"] = controls.get(_tuning(row))


def _tuning(row: dict[str, Any]) -> tuple:
    return row["seed"], row["teacher"], row["epochs"]


def _origin() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    packages = ("paddlepaddle", "paddleslim", "numpy")
    return {
        "commit": commit.stdout.strip() or None,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "machine": machine(),
    }


def trial_folder(trial: Trial) -> Path:
    return BUILD / "results" / trial.name


def load_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of results.json and of trials that ended since, in the order of `TRIALS`."""
    file = folder / "results.json"
    rows = {row["name"]: row for row in (json.loads(file.read_text()) if file.exists() else [])}
    for trial in TRIALS:
        if (fresh := trial_folder(trial) / "row.json").exists():
            row = json.loads(fresh.read_text())
            known = rows.get(trial.name)
            # The row in results.json of the same run has its latency, too.
            if known is None or known["map_finetuned"] != row["map_finetuned"]:
                rows[trial.name] = row
    return [rows[trial.name] for trial in TRIALS if trial.name in rows]


def missing(folder: Path) -> list[Trial]:
    """Trials that have no row by today's recipe."""
    rows = {row["name"]: row for row in load_rows(folder)}
    return [t for t in TRIALS if not RECIPE.items() <= rows.get(t.name, {}).items()]
