"""What several workers refuse before anything starts, and who is no worker."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from pruning import start_workers
from pruning.checkpoints import RunState
from pruning.config import load_config
from ssd_model import star, workers
from ssd_model.data.loader import SeededBatches
from ssd_model.data.readers import check_shareable
from ssd_model.lock import LockError, lock
from ssd_model.star import Star
from ssd_model.workers import WorkersError, check_same
from tests.helpers.small_run import BATCHES, Setup


def reader(images: int, batch_size: int, **order):
    class Reader:
        batch_sampler = SeededBatches(range(images), batch_size, **order)

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


@pytest.fixture
def none_start(monkeypatch):
    """Workers are asked for, but starting them would be an error."""
    monkeypatch.setenv("WORKERS", "2")
    monkeypatch.setattr(start_workers, "_started", None)


@pytest.mark.parametrize("train_reader", [None, reader(4, 2)])
def test_where_nothing_is_trained_no_workers_start(none_start, config, train_reader):
    setup = Setup(train_reader=train_reader)
    setup.compressor.config(config(epoch=0))
    assert [row["stage"] for row in setup.compressor.run().rows] == ["baseline", "pruned"]


def test_a_folder_in_use_is_refused_before_workers_start(none_start, config):
    setup = Setup(train_reader=reader(4, 2))
    path = config()
    setup.compressor.config(path)
    with lock(load_config(path).checkpoint_path), pytest.raises(LockError, match="another run"):
        setup.compressor.run()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (reader(9, 4), "images to train on: 8 in worker 0, 9 in worker 1"),
        (reader(8, 4, seed=1), "seed: '0' in worker 0, '1' in worker 1"),
        (reader(8, 4, shuffle=True), "shuffle: 'False' in worker 0, 'True' in worker 1"),
    ],
)
def test_workers_with_other_data_are_refused(monkeypatch, other, words):
    here, there = (check_shareable(one, 2) for one in (reader(8, 4), other))
    monkeypatch.setattr(workers, "gather", lambda facts: [facts, there])
    with pytest.raises(WorkersError, match=f"{words}; all workers must be given the same"):
        check_same(here)


@pytest.mark.parametrize("name", ["WORKERS", "PADDLE_TRAINERS_NUM"])
def test_several_workers_on_a_gpu_are_refused(monkeypatch, name):
    monkeypatch.setattr(workers, "on_cpu", lambda: False)
    monkeypatch.setenv(name, "2")
    with pytest.raises(ValueError, match="set PLACE=cpu"):
        Setup()


@pytest.mark.parametrize("said", ["two", "0", "-1", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(monkeypatch, said):
    monkeypatch.setenv("WORKERS", said)
    with pytest.raises(ValueError, match=f"WORKERS is '{said}': give the number"):
        workers.expected()


def test_a_missing_worker_is_named(monkeypatch):
    monkeypatch.setattr(star, "PATIENCE", 0.3)
    with pytest.raises(WorkersError, match=r"no word from worker 1, 2 in 0\.3 s"):
        Star(0, 3, "127.0.0.1:0")
    with pytest.raises(WorkersError, match=r"no word from worker 0, .* at 127\.0\.0\.1:1, in"):
        Star(2, 3, "127.0.0.1:1")


def test_strangers_are_sent_away():
    port = star.free_port()

    def come(line: bytes) -> socket.socket:
        while True:
            with suppress(ConnectionRefusedError):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.sendall(line + b"\n")
                return connection

    def hello(rank) -> bytes:
        return json.dumps({"rank": rank, "name": "a worker"}).encode()

    strangers = b"GET / HTTP/1.1", b"[1]", b'"x"', b"{}", b'{"rank": 1}'
    with ThreadPoolExecutor() as pool:
        first = pool.submit(Star, 0, 3, f"127.0.0.1:{port}")
        kept = [come(hello(1))]
        closed = [come(line) for line in (*strangers, *map(hello, (1, 0, 3, "2", [2])))]
        kept.append(come(hello(2)))
        first.result(timeout=10)._tell_all({"value": 5})
    for connection in (*kept, *closed):
        with connection.makefile() as lines:
            assert json.loads(lines.readline())["rank"] == 0
            assert lines.readline() == ('{"value": 5}\n' if connection in kept else "")


def test_checkpoints_of_before_are_of_one_worker():
    assert RunState({}).workers == 1
