"""A small run of the Compressor, killed again and again: `python -m tests.helpers.killed_run ...`.

All is built once, by a parent that runs no threads; each attempt is a fork of it. What the runs
came to is printed as JSON.
"""

import utils  # noqa: F401  isort: skip

import contextlib
import hashlib
import json
import math
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import paddle
import psutil

from pruning.compressor import Compressor
from pruning.config import write_config
from ssd_model.data.augment import Augmentation
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.optimizers import one_cycle
from ssd_model.programs import build_detector
from ssd_model.scope import read_tensor
from tests.helpers.voc_folder import add_image, object_xml, write_set

SIZE, EPOCHS, IMAGES, BATCH = 64, 4, 6, 2
Run = tuple[Compressor, paddle.static.Scope]
PATIENCE = 120  # seconds until an attempt counts as hanging


def make_data(folder: Path, images: int = IMAGES) -> Path:
    names = [f"{i:03}" for i in range(images)]
    for i, name in enumerate(names):
        box = object_xml(("cat", "dog")[i % 2], 5 + 5 * i, 5, 60 + 5 * i, 45)
        add_image(folder, name, box, color=(40 * i, 90, 200))
    write_set(folder, "trainval", names)
    write_set(folder, "test", names[:3])
    return folder


def build(data: Path, batch: int = BATCH) -> Run:
    steps = EPOCHS * IMAGES // BATCH
    training = build_detector(3, True, one_cycle(1e-3, steps), image_size=SIZE, seed=1)
    evaluation = build_detector(3, False, image_size=SIZE)
    scope, executor = paddle.static.Scope(), paddle.static.Executor(paddle.CPUPlace())
    for detector in (evaluation, training):
        executor.run(detector.startup_program, scope=scope)
    trainval, test = read_data(data, "trainval"), read_data(data, "test")
    augmented = {"augmentation": Augmentation(), "shuffle": True, "seed": 1}
    return Compressor(
        paddle.CPUPlace(),
        scope,
        training.program,
        train_reader=make_loader(trainval, training.feed_list, batch, image_size=SIZE, **augmented),
        train_fetch_list=[("loss", training.loss.name)],
        eval_program=evaluation.program,
        eval_reader=make_loader(test, evaluation.feed_list, BATCH, image_size=SIZE),
        eval_fetch_list=[("map", evaluation.map.name)],
    ), scope


def compress(
    compressor: Compressor, scope: paddle.static.Scope, folder: Path, called: str = "result"
) -> None:
    """Prune before the second epoch of four; write all that came of it to <called>.json."""
    config = folder / f"{called}.yaml"
    strategy = {"target_ratio": 0.3, "pruned_params": "conv2d_[1-9].w_0", "reconstruct_images": 4}
    write_config(config, EPOCHS, folder / "checkpoints", **strategy)
    config.write_text(config.read_text().replace("start_epoch: 0", "start_epoch: 1"))
    compressor.config(config)
    history = compressor.run()
    program = compressor.train_graph.program
    digest = hashlib.sha256()
    for name in sorted(v.name for v in program.list_vars() if v.persistable):
        if scope.find_var(name) is not None:
            digest.update(name.encode() + read_tensor(scope, name).tobytes())
    rows = [{k: repr(v) for k, v in row.items() if k != "seconds"} for row in history.rows]
    result = {"tensors": digest.hexdigest(), "rows": rows, "ratios": history.ratios}
    (folder / f"{called}.json").write_text(json.dumps(result))


def attempt(run: Run, folder: Path, kill_after: float = math.inf) -> tuple[int, float]:
    """A run in a process of its own, killed after so many seconds of computing.

    Returns:
        Its exit status, -9 if it was killed, and the seconds that it has computed.

    Raises:
        TimeoutError: it hangs; it is killed then.
    """
    deadline = time.monotonic() + PATIENCE
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with (folder / "log.txt").open("a") as log, contextlib.redirect_stdout(log):
                compress(*run, folder)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    process = psutil.Process(child)
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        times = process.cpu_times()
        if times.user + times.system > kill_after:
            process.kill()
        if time.monotonic() > deadline:
            process.kill()
            raise TimeoutError(f"a run hangs after {times.user + times.system:.1f} s of computing")
        time.sleep(0.005)


def result(folder: Path, name: str = "result") -> dict:
    return json.loads((folder / f"{name}.json").read_text())


def main(root: Path, kills: int, seed: int) -> dict:
    run = build(make_data(root / "voc"))
    folder = root / "whole"
    folder.mkdir()
    status, seconds = attempt(run, folder)
    assert status == 0

    dice, reached, results = random.Random(seed), [], []
    while len(reached) < kills:
        folder = root / f"killed-{len(results)}"
        folder.mkdir()
        while True:
            moment = dice.uniform(0, seconds) if len(reached) < kills else math.inf
            status, _ = attempt(run, folder, moment)
            if status == 0:
                results.append(result(folder))
                break
            assert status == -signal.SIGKILL
            epochs = [int(p.stem[6:]) for p in (folder / "checkpoints").glob("epoch-*")]
            reached.append(max(epochs, default=0))
    return {"expected": result(root / "whole"), "results": results, "epochs_at_kill": reached}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
