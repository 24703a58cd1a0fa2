"""What the reconstruction repairs without training, for each criterion: a part of `make results`.

With the heads refitted, and without: nothing reads what the heads give, so the repair without them
is the repair with their weights put back.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import paddle

from pruning.criteria import CRITERIA, MEASURED
from pruning.layer_samples import ScopedProgram, first_input
from pruning.pruned_network import PrunedNetwork
from pruning.ranking import rank
from pruning.reconstruct import Reconstruction
from pruning.search import search_uniform_plan
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.data.readers import first_batches
from ssd_model.data.scenes import write_scenes
from ssd_model.evaluation import evaluate
from ssd_model.files import write_json
from ssd_model.optimizers import one_cycle
from ssd_model.place import default_place
from ssd_model.programs import build_detector
from ssd_model.scope import empty_scope, read_tensor, write_tensor
from study.trials import BATCH_SIZE, DATA, PATTERN, SCENES
from utils.paths import BASELINE
from utils.profiles import RECONSTRUCT_IMAGES
from utils.training import start_scope
from utils.workspace import SIGNS_AUGMENTATION

TARGET_RATIO = 0.5


def measure_repair(criterion: str) -> dict[str, Any]:
    """mAP on the test scenes right after the cut, and after both repairs."""
    data_dir = write_scenes(DATA, **SCENES)
    trainval, test = read_data(data_dir, "trainval"), read_data(data_dir, "test")
    class_num = len(trainval.classes) + 1
    training = build_detector(class_num, True, one_cycle(1e-3, 1))
    evaluation = build_detector(class_num, False)
    scope = start_scope(training, evaluation, BASELINE)
    network = PrunedNetwork(training.program, evaluation.program, scope)
    test_reader = make_loader(test, evaluation.feed_list, BATCH_SIZE)

    def mean_ap() -> float:
        fetches = [("map", evaluation.map.name)]
        executor = paddle.static.Executor(default_place())
        return evaluate(executor, network.evaluation, test_reader, fetches, scope=scope)["map"]

    options = {"augmentation": SIGNS_AUGMENTATION, "shuffle": True}
    train_reader = make_loader(trainval, training.feed_list, BATCH_SIZE, **options)
    batches = first_batches(train_reader, None, RECONSTRUCT_IMAGES)
    before, dependencies = ScopedProgram(network.evaluation, scope), network.dependencies
    plan = search_uniform_plan(dependencies, PATTERN, TARGET_RATIO)
    names, train = dependencies.match(PATTERN), ScopedProgram(network.train, scope)
    criterions = rank({"*": criterion}, names, dependencies, before, train, batches).criterions
    reconstruction = Reconstruction(plan, before, criterions)
    network.prune(plan, criterions)
    row = {"criterion": criterion, "target_ratio": TARGET_RATIO, "map_pruned": mean_ap()}
    heads = {name: read_tensor(scope, name) for name in _heads(plan.shapes)}
    images = [batch[first_input(network.train)] for batch in batches]
    reconstruction.carry_out(ScopedProgram(network.evaluation, scope), images)
    row["map_reconstructed"] = mean_ap()
    for name, value in heads.items():
        write_tensor(scope, name, value)
    row["map_heads_kept"] = mean_ap()
    empty_scope(scope)
    return row


def measure_repairs(folder: Path) -> list[dict[str, Any]]:
    """Measure what repairs.json lacks; a row a criterion, in their order."""
    file = folder / "repairs.json"
    rows = {
        row["criterion"]: row for row in (json.loads(file.read_text()) if file.exists() else [])
    }
    for criterion in CRITERIA + MEASURED:
        if criterion not in rows:
            print(f"--- right after the repair: {criterion}", flush=True)
            rows[criterion] = measure_repair(criterion)
            write_json(file, list(rows.values()))
    return list(rows.values())


def _heads(names: Collection[str]) -> list[str]:
    """Filters and biases of the convolutions that have a bias: those are the heads."""
    biases = [name for name in names if name.startswith("conv") and name.endswith(".b_0")]
    return [name.replace(".b_0", end) for name in biases for end in (".b_0", ".w_0")]
