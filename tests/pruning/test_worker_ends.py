"""How a worker ends, alone or with its machine, and what the others say of it."""

import os
import subprocess
import sys
import time

import pytest

from benchmark.hosts import ADDRESSES, CABLES, NoHostsError, two_hosts
from ssd_model import star
from ssd_model.star import Star
from ssd_model.workers import WorkersError
from utils.paths import ROOT

DYING = """
import json, os, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(json.dumps({"rank": 1, "name": "worker 1"}).encode() + b"\\n")
connection.makefile().readline()
print(sys.argv[2], end="", flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(
    ("said", "end"),
    [("", "worker 1 has died (Killed)"), ("a stack\nof two\n", " (Killed):\na stack\nof two")],
)
def test_the_last_words_of_a_worker_that_was_started_are_shown(tmp_path, said, end):
    port = star.free_port()
    with (tmp_path / "log").open("w+b") as log:
        process = subprocess.Popen([sys.executable, "-c", DYING, str(port), said], stdout=log)
        connected = Star(0, 2, f"127.0.0.1:{port}", [star.Started(process, log)])
        process.wait()
        with pytest.raises(WorkersError) as error:
            connected.gather(None)
            connected.enter()
    assert str(error.value).endswith(end)


ENDING = """
import ctypes
libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
for function, argument in (libc.getchar, None), (libc.perror, libc.strdup(b"cleared")):
    libc.__cxa_atexit(function, ctypes.c_void_p(argument), None)  # the last is called first
import utils, time
from ssd_model import workers
with workers.together():
    pass
time.sleep(60 * workers.rank())
"""
"""Worker 0 ends at once, and waits when all of it has been cleared away but its threads."""


def test_the_end_of_another_does_not_break_a_worker_that_is_ending():
    environment = os.environ | {
        "PADDLE_TRAINERS_NUM": "2",
        "PADDLE_TRAINER_ENDPOINTS": f"127.0.0.1:{star.free_port()},127.0.0.1:{star.free_port()}",
    }
    first, second = (
        subprocess.Popen(
            [sys.executable, "-c", ENDING],
            cwd=ROOT,
            env=environment | {"PADDLE_TRAINER_ID": str(rank)},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    )
    assert any(line.startswith("cleared") for line in first.stderr)
    second.kill()
    second.communicate()
    time.sleep(0.5)  # for its thread that serves the store
    assert first.poll() is None
    first.communicate()
    assert first.returncode == 0


@pytest.fixture
def hosts():
    try:
        with two_hosts() as names:
            yield names
    except NoHostsError as error:
        pytest.skip(f"no network namespaces can be made here: {error}")


WAITING = """
import utils, time
from ssd_model import workers
with workers.together():
    print(workers.once(lambda: "all are here"), flush=True)
    while True:
        workers.once(time.time)
        time.sleep(0.1)
"""


def test_a_machine_that_is_cut_off_is_named(hosts):
    environment = os.environ | {
        "PADDLE_TRAINERS_NUM": "2",
        "PADDLE_TRAINER_ENDPOINTS": ",".join(f"{host}:7100" for host in ADDRESSES),
    }
    started = [
        subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-c", WAITING],
            cwd=ROOT,
            env=environment | {"PADDLE_TRAINER_ID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, name in enumerate(hosts)
    ]
    try:
        assert [process.stdout.readline() for process in started] == ["all are here\n"] * 2
        cut = time.monotonic()
        subprocess.run(["ip", "-n", hosts[1], "link", "set", CABLES[1], "down"], check=True)
        said = [process.communicate(timeout=60)[1] for process in started]
        assert time.monotonic() - cut < 10
        for other, words in zip((1, 0), said, strict=True):
            assert f"stops: worker {other} (process" in words
            assert words.endswith("no longer answers\n")
    finally:
        for process in started:
            process.kill()
            process.wait()
