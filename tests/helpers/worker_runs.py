"""Runs of several workers: `python -m tests.helpers.worker_runs <folder>` leaves what they came to.

All is built once, by a parent that runs no threads; every worker is a fork of it.
"""

import utils  # noqa: F401  isort: skip

import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
import psutil

from ssd_model import workers
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.distillation import distillation_loss
from ssd_model.lock import lock
from ssd_model.operators import reduce_sum
from ssd_model.programs import _inputs
from ssd_model.scope import kept_variables, read_tensor
from ssd_model.ssd_loss import ssd_loss
from ssd_model.training_pass import train_epoch
from tests.helpers import killed_run
from tests.helpers.forked_workers import PATIENCE, start_workers, wait_for

IMAGES, BATCH = 7, 4  # so that the last batch, of 3, gives four workers 1, 1, 1 and 0 images
SIZE, CLASSES, EPOCHS = 32, 3, 5
LOSSES = ("ssd", "taught", "mean")
WRONG = "mean of ssd"
"""A loss that workers would weight wrongly."""


def tiny_network(data: Path, loss_name: str) -> Callable[[Path], None]:
    """Three convolutions and two batch norms, smooth all through; returns its training.

    For the loss "mean", the scale and the bias of the second batch norm are frozen.
    """
    program, startup = paddle.static.Program(), paddle.static.Program()
    startup.random_seed = 1
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        image, gt_box, gt_label, _ = feed_list = _inputs(SIZE)
        x = paddle.static.nn.conv2d(image, 4, 3, stride=4, padding=1, bias_attr=False)
        x = paddle.static.nn.batch_norm(x, act="tanh")
        x = paddle.static.nn.conv2d(x, 6, 3, padding=1, bias_attr=False)
        frozen = paddle.ParamAttr(trainable=loss_name != "mean")
        x = paddle.static.nn.batch_norm(x, act="tanh", param_attr=frozen, bias_attr=frozen)
        x = paddle.static.nn.conv2d(x, 4 + CLASSES, 3, stride=2, padding=1)
        x = paddle.reshape(paddle.transpose(x, [0, 2, 3, 1]), [0, -1, 4 + CLASSES])
        location, confidence = paddle.split(x, [4, CLASSES], axis=2)
        side = SIZE // 8
        corners = np.stack(np.meshgrid(*[np.arange(side) / side] * 2), -1).reshape(-1, 2)
        prior = paddle.assign(np.hstack([corners, corners + 0.4]).astype("float32"))
        if loss_name == "mean":
            loss = paddle.mean(confidence**2)
        else:
            loss = ssd_loss(location, confidence, gt_box, gt_label, prior)
            if loss_name == "taught":
                loss += distillation_loss(location, confidence, location * 2, confidence * 2)
            loss = paddle.mean(loss) if loss_name == WRONG else reduce_sum(loss)
        paddle.optimizer.Momentum(0.05, 0.9, weight_decay=1e-3).minimize(loss)
    loader = make_loader(
        read_data(data, "trainval"), feed_list, BATCH, shuffle=True, image_size=SIZE
    )

    def train(result: Path) -> None:
        scope = paddle.static.Scope()
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup, scope=scope)
        with workers.together():
            losses = [
                train_epoch(
                    executor, program, loader, [("loss", loss.name)], None, scope, epoch, "a pass"
                )["loss"]
                for epoch in range(EPOCHS)
            ]
        if workers.is_first():
            kept = kept_variables(scope, [program])
            tensors = {var.name: read_tensor(scope, var.name) for var in kept}
            np.savez(result, losses=losses, **tensors)

    return train


def train_tiny_networks(root: Path, data: Path) -> None:
    """The same training by one, two and four workers, for every loss; and one that is refused."""
    for name in LOSSES:
        train = tiny_network(data, name)
        for count in (1, 2, 4):
            folder = root / "tiny"
            job = start_workers(count, lambda: train(folder / f"{name}-{count}.npz"), folder)  # noqa: B023
            assert wait_for(job) == [0] * count, (folder / "worker-0.txt").read_text()
    train = tiny_network(data, WRONG)
    wait_for(start_workers(2, lambda: train(root / "tiny" / "wrong.npz"), root / "wrong"))


def kill(process: int, checkpoint: Path) -> float:
    """Kill a worker in the epoch after a checkpoint; returns when that was."""
    deadline = time.monotonic() + PATIENCE
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.5)
    os.kill(process, signal.SIGKILL)
    return time.monotonic()


def compress_together(root: Path, data: Path) -> dict:
    """Pruning runs of two workers: one left alone, two with a worker killed, one that breaks."""
    run = killed_run.build(data, BATCH)

    def start(folder: Path, count: int = 2) -> list[int]:
        def work() -> None:
            killed_run.compress(*run, folder, f"worker-{workers.rank()}")

        return start_workers(count, work, folder)

    def said(folder: Path) -> list[str]:
        return [(folder / f"worker-{rank}.txt").read_text() for rank in (0, 1)]

    def results(folder: Path, count: int = 2) -> list[dict]:
        return [killed_run.result(folder, f"worker-{rank}") for rank in range(count)]

    whole = root / "whole"
    told: dict = {"whole": {"statuses": wait_for(start(whole)), "said": said(whole)}, "killed": []}
    told["whole"]["results"] = results(whole)

    for rank, epoch, count in ((0, 1, 2), (1, 3, 1)):
        folder = root / f"killed-{rank}"
        job = start(folder)
        killed = kill(job[rank], folder / "checkpoints" / f"epoch-{epoch:04d}.safetensors")
        statuses = wait_for(job)
        row = {"rank": rank, "process": job[rank], "statuses": statuses, "workers": count}
        row |= {"took": time.monotonic() - killed, "said": said(folder)}
        row |= {"resumed": wait_for(start(folder, count)), "then": said(folder)[0]}
        told["killed"].append({**row, "results": results(folder, count)})

    def break_second() -> None:
        if workers.rank() == 1:
            run[0]._train_reader.dataset.dataset.augmentation = broken
        killed_run.compress(*run, root / "broken", f"worker-{workers.rank()}")

    statuses = wait_for(start_workers(2, break_second, root / "broken"))
    told["broken"] = {"statuses": statuses, "said": said(root / "broken")}

    with lock(root / "in-use" / "checkpoints"):
        statuses = wait_for(start(root / "in-use"))
    told["in use"] = {"statuses": statuses, "said": said(root / "in-use")}
    return told


def broken(*_: object) -> None:
    raise OverflowError("a fault of one worker")


def compress_with_own_workers(root: Path, data: Path) -> dict:
    """Runs of a Compressor that starts its worker itself; in the last, the worker fails."""
    os.environ["WORKERS"] = "2"
    folder = root / "own"
    folder.mkdir()
    said = io.StringIO()
    for name in ("result", "resumed"):
        run = killed_run.build(data, BATCH)
        with contextlib.redirect_stdout(said):
            killed_run.compress(*run, folder, name)
        os.chdir(root)  # the worker was started elsewhere
        data, folder = Path("voc"), Path("own")
    folder = root / folder
    told: dict = {name: killed_run.result(folder, name) for name in ("result", "resumed")}
    (child,) = psutil.Process().children()
    for name, augmentation in (("refused", threading.Lock()), ("error", Breaking(child.pid))):
        run = killed_run.build(data, BATCH)
        run[0]._train_reader.dataset.dataset.augmentation = augmentation
        told[name] = _error_of(run, root / name)
    psutil.wait_procs([child], timeout=10)
    told["left"] = sum(process.status() != "zombie" for process in psutil.Process().children())
    told["again"] = _error_of(killed_run.build(data, BATCH), root / "error")
    return told | {"said": said.getvalue()}


def _error_of(run: killed_run.Run, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    try:
        killed_run.compress(*run, folder)
    except workers.WorkersError as error:
        return str(error)
    return "no error"


@dataclass(frozen=True)
class Breaking:
    """An augmentation that fails in one process."""

    process: int

    def __call__(self, image, *truth_and_dice):
        if os.getpid() == self.process:
            broken()
        return image, *truth_and_dice[:3]


def main(root: Path) -> None:
    data = killed_run.make_data(root / "voc", IMAGES)
    train_tiny_networks(root, data)
    told = compress_together(root, data)
    told["own"] = compress_with_own_workers(root, data)
    (root / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
