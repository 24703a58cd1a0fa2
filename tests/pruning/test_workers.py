"""Several workers train one network, and end together: what `tests.helpers.worker_runs` leaves."""

import copy
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import paddle
import pytest

from pruning import compressor
from pruning.config import load_config
from pruning.pruned_network import PrunedNetwork
from pruning.resume import Resume
from ssd_model import training_pass, workers
from ssd_model.data_parallel import check_loss, loss_of_one
from ssd_model.training_pass import TrainingError
from ssd_model.workers import WorkersError
from tests.helpers.small_run import Setup
from tests.helpers.worker_runs import EPOCHS, LOSSES
from utils.paths import ROOT


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.worker_runs", folder],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def told(root) -> dict:
    return json.loads((root / "told.json").read_text())


# What they compute


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_workers_give_what_one_gives_for_the_whole_batch(root, loss, count):
    one, many = (np.load(root / "tiny" / f"{loss}-{n}.npz") for n in (1, count))
    assert len(one["losses"]) == EPOCHS
    assert one["losses"][0] != one["losses"][-1]
    assert "conv2d_0.w_0_velocity_0" in one.files  # gradients, since momentum adds them up
    for name in one.files:
        np.testing.assert_allclose(
            many[name], one[name], rtol=1e-5, atol=4e-5 * np.abs(one[name]).max(), err_msg=name
        )


def test_a_loss_that_workers_would_weight_wrongly_is_refused(root):
    said = (root / "wrong" / "worker-0.txt").read_text()
    together, one = map(float, re.findall(r"a loss of (\S+), one to (\S+)\. ", said)[0])
    assert together == pytest.approx(2 * one, rel=1e-4)  # the mean of the images' shares, twice
    assert not (root / "tiny" / "wrong.npz").exists()


def test_a_random_loss_is_not_compared(monkeypatch):
    program = paddle.static.Program()
    with paddle.static.program_guard(program, paddle.static.Program()):
        x = paddle.static.data("x", [2, 3])
        loss = paddle.mean(paddle.nn.functional.dropout(x, 0.5))
    feed = {"x": np.ones((2, 3), "float32")}
    assert loss_of_one(program, feed, loss.name, paddle.static.Scope()) is None
    monkeypatch.setattr(workers, "gather", lambda value: [value, [1.0, None]])
    check_loss(5.0, None)
    with pytest.raises(WorkersError, match="2 workers come to a loss of 6, one to 3"):
        check_loss(5.0, 3.0)
    check_loss(5.0, 6.0003)


def test_two_workers_prune_and_fine_tune_one_network(told):
    whole = told["whole"]
    assert whole["statuses"] == [0, 0]
    first, second = whole["results"]
    assert first == second  # history, and every tensor to the bit
    assert [row["stage"] for row in first["rows"]].count("'finetuned'") == 4
    assert "epoch 4/4: loss" in whole["said"][0]
    assert whole["said"][1] == ""


def test_a_compressor_starts_its_workers_itself(told):
    own = told["own"]
    assert own["result"] == told["whole"]["results"][0]  # whoever has started them
    assert own["resumed"]["tensors"] == own["result"]["tensors"]
    assert "this run is complete" in own["said"]


def test_a_compressor_outlives_its_workers(told):
    error, again, workers_left = told["own"]["error"], told["own"]["again"], told["own"]["left"]
    assert "worker 1 (process " in error
    assert error.endswith("OverflowError: a fault of one worker")
    assert again.startswith("the workers ended with the run before this one; start Python anew")
    assert workers_left == 0


def test_workers_find_the_config_from_another_folder(monkeypatch, config, tmp_path):
    setup, path, sent = Setup(), config(), []
    monkeypatch.setattr(compressor, "start_workers", lambda *recipe: sent.append(recipe[-1]))
    monkeypatch.chdir(tmp_path)
    setup.compressor.config(path.name)
    monkeypatch.chdir(ROOT)
    with pytest.raises(TypeError):  # what is no block ends the run
        setup.compressor.run()
    assert sent == [path]


def test_a_reader_that_cannot_travel_is_refused(told):
    assert "cannot be sent to another process" in told["own"]["refused"]


def test_two_launchers_as_on_two_machines(root, tmp_path):
    shutil.copytree(root / "voc", tmp_path / "voc")
    with socket.create_server(("127.0.0.1", 0)) as server:
        master = f"127.0.0.1:{server.getsockname()[1]}"
    command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "1"]
    command += ["--nnodes", "2", "--master", master]
    script = ["tests/helpers/launched_run.py", tmp_path]
    started = [
        subprocess.Popen(
            [*command, "--log_dir", tmp_path / f"log-{i}", *script],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert sorted("epoch 4/4: loss" in words for words in said) == [False, True]
    first, second = ((tmp_path / f"worker-{rank}.json").read_text() for rank in (0, 1))
    assert first == second


def test_a_second_run_begins_at_the_first_learning_rate_everywhere(monkeypatch, config):
    setup = Setup()
    started = load_config(config()).model_copy(update={"checkpoint_path": None})
    schedule = setup.train.program.lr_scheduler
    for _ in range(4):
        schedule.step()
    sent = copy.deepcopy(schedule)
    at_first = setup.compressor._resume.start(started)
    network = PrunedNetwork(setup.train.program, setup.eval.program, setup.scope)
    monkeypatch.setattr(workers, "once", lambda function: asdict(at_first))
    Resume(network, sent, "map").start(started)
    assert (schedule.last_epoch, schedule()) == (sent.last_epoch, sent()) == (0, 1e-3)


def test_weights_that_differ_are_an_error(monkeypatch):
    monkeypatch.setattr(workers, "gather", lambda digest: [digest, "other", digest])
    with pytest.raises(TrainingError, match="after epoch 3 the weights of worker 1 are not those"):
        setup = Setup()
        training_pass._check_equal(setup.train.program, setup.scope, "epoch 3")


# How they end


def test_a_killed_worker_stops_the_others_which_name_it(told):
    for run in told["killed"]:
        killed, other = run["rank"], 1 - run["rank"]
        assert run["statuses"][killed] == -9
        assert run["statuses"][other] == 1
        assert run["took"] < 10
        sentence = f"worker {killed} (process {run['process']} on "
        assert sentence in run["said"][other].splitlines()[-1]
        assert run["said"][other].endswith("has died\n")


def test_the_same_command_resumes_to_the_same_bits(told):
    run = told["killed"][0]
    assert (run["workers"], run["resumed"]) == (2, [0, 0])
    assert "resuming from" in run["then"]
    assert run["results"] == told["whole"]["results"]


def test_another_number_of_workers_resumes_and_says_so(told):
    run = told["killed"][1]
    assert (run["workers"], run["resumed"]) == (1, [0])
    assert "trained by 2 worker(s), and goes on with 1: the numbers will differ" in run["then"]
    expected, rows = told["whole"]["results"][0]["rows"], run["results"][0]["rows"]
    assert [row["stage"] for row in rows] == [row["stage"] for row in expected]


def test_a_worker_that_fails_shows_its_error_everywhere(told):
    assert told["broken"]["statuses"] == [1, 1]
    for said in told["broken"]["said"]:
        assert said.endswith("OverflowError: a fault of one worker\n")
    assert "worker 1 (process " in told["broken"]["said"][0]


def test_all_workers_are_told_that_a_folder_is_in_use(told):
    # They would wait for worker 0, which has left.
    assert told["in use"]["statuses"] == [1, 1]
    for said in told["in use"]["said"]:
        assert "works in" in said and "wait until it has ended" in said
