"""Several workers train one network, and end together: what `tests.helpers.worker_runs` leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pruning.checkpoints import RunState
from ssd_model import training_pass, workers
from ssd_model.data.loader import SeededBatches
from ssd_model.data.readers import check_shareable
from ssd_model.training_pass import TrainingError
from ssd_model.workers import WorkersError, check_same
from tests.helpers.small_run import BATCHES, Setup
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
            many[name], one[name], rtol=1e-5, atol=1e-5 * np.abs(one[name]).max(), err_msg=name
        )


def test_two_workers_prune_and_fine_tune_one_network(told):
    whole = told["whole"]
    assert whole["statuses"] == [0, 0]
    first, second = whole["results"]
    assert first == second  # history, and every tensor to the bit
    assert [row["stage"] for row in first["rows"]].count("'finetuned'") == 4
    assert "epoch 4/4: loss" in whole["said"][0]
    assert whole["said"][1] == ""


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


# What is refused before anything starts


def reader(images: int, batch_size: int):
    class Reader:
        batch_sampler = SeededBatches(range(images), batch_size)

    return Reader()


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (BATCHES, "cannot share the train reader: make it with make_loader"),
        (reader(3, 4), r"4 workers cannot share 3 image\(s\) to train on"),
        (reader(9, 6), "cannot share a batch of 6 images equally: .* batch size that 4 divides"),
    ],
)
def test_what_cannot_be_shared_is_refused(monkeypatch, reader, words):
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "4")
    with pytest.raises(ValueError, match=words):
        Setup(train_reader=reader)


def test_workers_with_other_data_are_refused(monkeypatch):
    here, there = (check_shareable(reader(images, 4), 2) for images in (8, 9))
    monkeypatch.setattr(workers, "gather", lambda facts: [facts, there])
    words = "images to train on: 8 in worker 0, 9 in worker 1; all workers must be given the same"
    with pytest.raises(WorkersError, match=words):
        check_same(here)


def test_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(workers, "on_cpu", lambda: False)
    with pytest.raises(WorkersError, match="start with PLACE=cpu"):
        workers._Star()


def test_a_missing_worker_is_named(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.3)
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "3")
    monkeypatch.setenv("PADDLE_TRAINER_ENDPOINTS", "127.0.0.1:0")
    with pytest.raises(WorkersError, match=r"no word of worker 1, 2 in 0\.3 s"):
        workers._Star()
    monkeypatch.setenv("PADDLE_TRAINER_ID", "2")
    monkeypatch.setenv("PADDLE_TRAINER_ENDPOINTS", "127.0.0.1:1")
    with pytest.raises(WorkersError, match=r"no word of worker 0, .* at 127\.0\.0\.1:1, in"):
        workers._Star()


def test_checkpoints_of_before_are_of_one_worker():
    assert RunState({}).workers == 1
