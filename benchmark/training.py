"""Time one framework on one network: milliseconds per image of training and of evaluation."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
from paddle.static import Program, Scope

from benchmark.networks import CLASS_NUM, Network
from pruning.cut import apply_plan
from pruning.dependencies import analyse
from ssd_model import kernels, runtime
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.data.readers import feeds
from ssd_model.data.scenes import write_scenes
from ssd_model.evaluation import evaluate
from ssd_model.export.onnx_model import prior_boxes
from ssd_model.optimizers import one_cycle
from ssd_model.place import default_place
from ssd_model.programs import build_detector, new_scope
from ssd_model.weights import load_weights, read_tensors
from utils.paths import BASELINE, BUILD
from utils.profiles import FINE_TUNE_RATE
from utils.workspace import SIGNS_AUGMENTATION

BATCH = 8
STEPS = 1000
"""The steps of the schedule; fewer are run."""
SET = 16
"""The batches in an evaluation."""


def paddle_programs(network: Network) -> tuple[list[Program], list[str], Scope]:
    """Make the train and the eval Program, with the names of loss and mAP, and their scope."""
    training = build_detector(CLASS_NUM, True, one_cycle(FINE_TUNE_RATE, STEPS))
    evaluation = build_detector(CLASS_NUM, False)
    scope = new_scope(evaluation, training)
    load_weights(evaluation.program, BASELINE, scope, strict=True)
    plan = network.plan(analyse(evaluation.program))
    train, test = apply_plan(plan, [training.program, evaluation.program], scope)
    kernels.use_onednn(train)
    return [train, test], [training.loss.name, evaluation.map.name], scope


def paddle_steps(network: Network) -> dict[str, Callable[[dict], object]]:
    """Make a training step and an evaluation, with suppression and mAP, in static Programs."""
    (train, test), (loss, map_name), scope = paddle_programs(network)
    executor = paddle.static.Executor(default_place())
    maps = [("map", map_name)]
    return {
        "train": lambda feed: executor.run(train, feed=feed, fetch_list=[loss], scope=scope)[0],
        "evaluate": lambda feed: evaluate(executor, test, [feed] * SET, maps, scope=scope),
    }


def torch_steps(network: Network) -> dict[str, Callable[[dict], object]]:
    """Make the same training step in eager PyTorch; its evaluation is the network alone."""
    import torch

    from benchmark.torch_ssd import MobileNetSSD, ssd_loss

    torch.set_num_threads(runtime.cores())
    arrays = read_tensors(Path(f"{network.prefix}.safetensors"))[0]
    evaluation = build_detector(CLASS_NUM, is_train=False)
    priors = prior_boxes(evaluation.program, evaluation.image, new_scope(evaluation))
    model = MobileNetSSD(arrays, CLASS_NUM).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), FINE_TUNE_RATE, weight_decay=0.02, fused=True)

    def image_of(feed: dict) -> torch.Tensor:
        return torch.from_numpy(feed["image"]).contiguous(memory_format=torch.channels_last)

    def train(feed: dict) -> float:
        model.train()
        optimizer.zero_grad()
        loss = ssd_loss(*model(image_of(feed)), feed["gt_box"], feed["gt_label"], *priors)
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.inference_mode()
    def forward(feed: dict) -> None:
        model.eval()
        for _ in range(SET):
            model(image_of(feed))

    return {"train": train, "evaluate": forward}


def wait_share(step: Callable[[dict], object], loader, batches: int) -> float:
    """Measure the share of training time that is spent waiting for the next batch."""
    waited, start = 0.0, time.perf_counter()
    reader = feeds(loader)
    for _ in range(batches):
        before = time.perf_counter()
        feed = next(reader)
        waited += time.perf_counter() - before
        step(feed)
    return waited / (time.perf_counter() - start)


def _loader():
    detector = build_detector(CLASS_NUM, is_train=True)
    folder = write_scenes(BUILD / "benchmark" / "signs", trainval=400, test=8)
    split = read_data(folder, "trainval")
    options = {"augmentation": SIGNS_AUGMENTATION, "shuffle": True}
    return make_loader(split, detector.feed_list, BATCH, **options)


def first_feed() -> dict[str, np.ndarray]:
    """Load a batch of augmented road-sign scenes, always the same."""
    return {name: np.array(value) for name, value in next(feeds(_loader())).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time training and evaluation.")
    parser.add_argument("framework", choices=("paddle", "torch"))
    parser.add_argument("target_ratio", type=float)
    parser.add_argument("--runs", type=int, required=True)
    arguments = parser.parse_args()
    network = Network(arguments.target_ratio)
    steps = (paddle_steps if arguments.framework == "paddle" else torch_steps)(network)
    feed = first_feed()
    milliseconds, first_loss = {}, float(steps["train"](feed))
    for name, step in steps.items():
        times = []
        for _ in range(arguments.runs + 3):
            start = time.perf_counter()
            step(feed)
            images = BATCH * (SET if name == "evaluate" else 1)
            times.append(1e3 * (time.perf_counter() - start) / images)
        milliseconds[name] = times[3:]
    result = {"milliseconds": milliseconds, "first_loss": first_loss}
    if arguments.framework == "paddle":
        loader = _loader()
        result["wait_share"] = wait_share(
            steps["train"], loader, min(2 * arguments.runs, len(loader))
        )
        start, images = time.perf_counter(), 0
        for batch in feeds(loader):
            images += len(np.array(batch["image"]))
        result["loader_images_per_second"] = images / (time.perf_counter() - start)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
