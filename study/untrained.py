"""What a cut and its repair cost without any training: a part of `make results`.

Each criterion is measured with the heads refitted, and without: nothing reads what the heads give,
so the repair without them is the repair with their weights put back. A budget over multiply-adds
stands beside one over milliseconds, with the latency that each really has.
"""

import json
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import paddle

from pruning.budget import budget_plan, flops_cost
from pruning.criteria import CRITERIA, MEASURED
from pruning.dependencies import Dependencies
from pruning.layer_latency import latency_cost
from pruning.layer_samples import ScopedProgram, first_input
from pruning.plan import Plan
from pruning.pruned_network import PrunedNetwork
from pruning.ranking import Ranking, rank
from pruning.reconstruct import Reconstruction
from pruning.search import search_uniform_plan
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader, preprocess
from ssd_model.data.readers import first_batches
from ssd_model.data.scenes import write_scenes
from ssd_model.evaluation import evaluate
from ssd_model.export.inference_model import save_inference_model
from ssd_model.files import write_json
from ssd_model.optimizers import one_cycle
from ssd_model.place import default_place
from ssd_model.predict import compare_latency
from ssd_model.programs import build_detector
from ssd_model.scope import empty_scope, read_tensor, write_tensor
from study.machine import machine
from study.trials import ALL_LAYERS, BATCH_SIZE, DATA, PATTERN, ROUNDS, RUNS, SCENES
from utils.paths import BASELINE, BUILD
from utils.profiles import RECONSTRUCT_IMAGES
from utils.training import start_scope
from utils.workspace import SIGNS_AUGMENTATION

TARGET_RATIO = 0.5
"""The share of the FLOPs that criteria are compared at."""
BUDGETS = {"flops": (0.35, 0.5, 0.65), "milliseconds": (0.25, 0.35, 0.45, 0.55)}
"""The shares that budgets are compared at: a share of the layers' time is less of the FLOPs."""

Row = dict[str, Any]


class Network:
    """The baseline, to be cut once and repaired."""

    def __init__(self) -> None:
        data_dir = write_scenes(DATA, **SCENES)
        self._trainval, self.test = read_data(data_dir, "trainval"), read_data(data_dir, "test")
        class_num = len(self._trainval.classes) + 1
        self._training = build_detector(class_num, True, one_cycle(1e-3, 1))
        self.detector = build_detector(class_num, False)
        self.scope = start_scope(self._training, self.detector, BASELINE)
        self.network = PrunedNetwork(self._training.program, self.detector.program, self.scope)

    @property
    def evaluation(self) -> ScopedProgram:
        return ScopedProgram(self.network.evaluation, self.scope)

    @property
    def dependencies(self) -> Dependencies:
        return self.network.dependencies

    @cached_property
    def batches(self) -> list[dict]:
        """What channels are chosen and layers refitted on, as the train Program is fed."""
        options = {"augmentation": SIGNS_AUGMENTATION, "shuffle": True}
        reader = make_loader(self._trainval, self._training.feed_list, BATCH_SIZE, **options)
        return first_batches(reader, None, RECONSTRUCT_IMAGES)

    def rank(self, criterion: str, pattern: str) -> Ranking:
        names = self.dependencies.match(pattern)
        train = ScopedProgram(self.network.train, self.scope)
        criterions = {"*": criterion}
        return rank(criterions, names, self.dependencies, self.evaluation, train, self.batches)

    def cut(self, plan: Plan, ranking: Ranking) -> Reconstruction:
        """Cut it; what is returned repairs it."""
        reconstruction = Reconstruction(plan, self.evaluation, ranking.criterions)
        self.network.prune(plan, ranking.criterions)
        return reconstruction

    def repair(self, reconstruction: Reconstruction, batches: list[dict]) -> None:
        images = [batch[first_input(self.network.train)] for batch in batches]
        reconstruction.carry_out(self.evaluation, images)

    def mean_ap(self) -> float:
        """mAP on the test scenes."""
        reader = make_loader(self.test, self.detector.feed_list, BATCH_SIZE)
        executor = paddle.static.Executor(default_place())
        fetches = [("map", self.detector.map.name)]
        return evaluate(executor, self.network.evaluation, reader, fetches, scope=self.scope)["map"]

    def save(self, prefix: Path) -> None:
        outputs = [self.detector.nmsed_out, self.detector.counts]
        image = self.detector.image
        save_inference_model(prefix, self.network.evaluation, image, outputs, self.scope)


def measure_repair(criterion: str) -> Row:
    """mAP on the test scenes right after the cut, and after both repairs."""
    network = Network()
    ranking = network.rank(criterion, PATTERN)
    plan = search_uniform_plan(network.dependencies, PATTERN, TARGET_RATIO)
    reconstruction = network.cut(plan, ranking)
    row = {"criterion": criterion, "target_ratio": TARGET_RATIO, "map_pruned": network.mean_ap()}
    heads = {name: read_tensor(network.scope, name) for name in _heads(plan.shapes)}
    network.repair(reconstruction, network.batches)
    row["map_reconstructed"] = network.mean_ap()
    for name, value in heads.items():
        write_tensor(network.scope, name, value)
    row["map_heads_kept"] = network.mean_ap()
    empty_scope(network.scope)
    return row


def measure_repairs(folder: Path) -> list[Row]:
    """Measure what repairs.json lacks; a row a criterion, in their order."""
    file = folder / "repairs.json"
    known = json.loads(file.read_text()) if file.exists() else []
    rows = {row["criterion"]: row for row in known}
    for criterion in CRITERIA + MEASURED:
        if criterion not in rows:
            print(f"--- right after the repair: {criterion}", flush=True)
            rows[criterion] = measure_repair(criterion)
            write_json(file, list(rows.values()))
    return [rows[criterion] for criterion in CRITERIA + MEASURED]


def measure_budgets(folder: Path) -> list[Row]:
    """Measure budgets.json if it is missing: mAP after the repair, and latency, all in one go."""
    file = folder / "budgets.json"
    if file.exists():
        return json.loads(file.read_text())
    unpruned = Network()
    ranking = unpruned.rank("reconstruction", ALL_LAYERS)
    costs = {
        "flops": flops_cost(unpruned.dependencies),
        "milliseconds": latency_cost(unpruned.evaluation, unpruned.dependencies),
    }
    models = BUILD / "results" / "budgets"
    prefixes = {"unpruned": models / "unpruned"}
    unpruned.save(prefixes["unpruned"])
    empty_scope(unpruned.scope)
    rows = []
    for budget, ratios in BUDGETS.items():
        for ratio in ratios:
            print(f"--- budget of {budget}: {ratio:g}", flush=True)
            network = Network()
            plan = budget_plan(network.dependencies, ranking.errors, ratio, costs[budget])
            network.repair(network.cut(plan, ranking), unpruned.batches)
            prefixes[f"{budget}-{ratio:g}"] = models / f"{budget}-{ratio:g}"
            network.save(prefixes[f"{budget}-{ratio:g}"])
            rows.append({
                "budget": budget,
                "target_ratio": ratio,
                "flops_after": plan.flops,
                "map_reconstructed": network.mean_ap(),
            })  # fmt: skip
            empty_scope(network.scope)
    image = preprocess(unpruned.test.records[0].open())[None]
    latency = compare_latency(prefixes, image, RUNS, ROUNDS)
    for row in rows:
        row["latency_ms_before"] = latency["unpruned"]
        row["latency_ms_after"] = latency[f"{row['budget']}-{row['target_ratio']:g}"]
        row["latency_machine"] = machine()
    write_json(file, rows)
    return rows


def _heads(names: Collection[str]) -> list[str]:
    """Filters and biases of the convolutions that have a bias: those are the heads."""
    biases = [name for name in names if name.startswith("conv") and name.endswith(".b_0")]
    return [name.replace(".b_0", end) for name in biases for end in (".b_0", ".w_0")]
