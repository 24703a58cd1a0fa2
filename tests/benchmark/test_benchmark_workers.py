"""Several workers in the benchmark: the model by hand, two hosts, and what the page shows."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from benchmark.hosts import NoHostsError, two_hosts
from benchmark.worker_page import PAGE, PLOT, adding_up_ms, step_ms, tables, write_page
from benchmark.workers import measure, medians
from study.tables import fill
from utils.paths import RESULTS


@pytest.fixture
def result():
    def row(step, **others):
        times = {
            "alone": 200.0,
            "beside": 240.0,
            "prepared": 255.0,
            "step": step,
            "adding up": 50.0,
        }
        if others.get("workers") == 1:
            times = {"alone": 400.0}
        times |= {"one number": 1.0}
        return {
            "milliseconds": times,
            "megabytes": 10.0,
            "calls": 3,
            "memory_mb": 1000.0 * step / 300,
            **others,
        }

    here = [row(300.0 * n, target_ratio=r, workers=n) for r in (0.0, 0.5) for n in (1, 2)]
    hosts = [row(step, gigabits=g) for step, g in ((300.0, None), (350.0, 1.0), (1100.0, 0.1))]
    return {
        "machine": "a machine", "versions": {"python": "3.13"}, "images": 8,
        "here": here, "hosts": hosts, "no_hosts": "",
    }  # fmt: skip


def text_of(page):
    return " ".join(page.read_text().split())  # columns are aligned


@pytest.mark.parametrize(
    ("machines", "megabytes", "gigabits", "latency", "expected"),
    [
        (1, 10, 1.0, 5.0, 0.0),  # nobody to send to
        (2, 10, 1.0, 0.0, 80.0),  # two turns, each of 5 MB
        (2, 10, 0.1, 0.0, 800.0),
        (4, 10, 1.0, 0.0, 120.0),  # six turns, each of 2.5 MB
        (4, 10, 1.0, 0.5, 123.0),
        (3, 30, np.inf, 2.0, 8.0),  # four messages
    ],
)
def test_the_model_by_hand(machines, megabytes, gigabits, latency, expected):
    assert adding_up_ms(machines, megabytes, gigabits, latency) == pytest.approx(expected)
    facts = {
        "compute_ms": 7.0,
        "together_ms": 0.5,
        "calls": 1,
        "megabytes": megabytes,
        "latency_ms": latency,
    }
    alone = 7.0 if machines == 1 else 7.5
    assert step_ms(machines, gigabits, facts) == pytest.approx(alone + expected)


def test_medians():
    ones = [
        {"milliseconds": {"alone": times}, "memory_mb": memory, "megabytes": 2.0, "calls": 3}
        for times, memory in (([1.0, 9.0], 5.0), ([2.0], 4.0))
    ]
    expected = {"milliseconds": {"alone": 2.0}, "memory_mb": 5.0, "megabytes": 2.0, "calls": 3}
    assert medians(ones) == expected


def test_the_page_shows_every_number_and_the_plot(result, tmp_path):
    page = tmp_path / shutil.copy(PAGE, tmp_path)
    write_page(tmp_path, result, page)
    text = text_of(page)
    for part in (
        "a machine", "| python | 3.13 |", "| -50% | 50.0 | 75.0 | 1.50 | 1000 | 2000 |",
        "its share, alone | 200.0 | 200.0 |", "extra, when all compute at once | 40.0 |",
        "prepare what is added up | 15.0 |",
        "wait for each other | 345.0 |", "a step | 600.0 |",
        "adding the gradients up alone | 50.0 |",
        "one process on all cores | 400.0 |", "| computing, ms | 240 |",
        "| preparing what is added up, and waiting, ms | 57 |",
        "| latency of a message, ms | 0.50 |",
        "| no limit | 50 | | 300 | |", "| 1 Gbit/s | 50 | 81 | 350 | 380 |",
        "| 100 Mbit/s | 50 | 801 | 1100 | 1100 |", PLOT.strip(),
    ):  # fmt: skip
        assert part in text
    assert Image.open(tmp_path / "workers.png").width > 100


def test_without_hosts_the_page_says_why(result, tmp_path):
    page = tmp_path / shutil.copy(PAGE, tmp_path)
    write_page(tmp_path, result | {"hosts": [], "no_hosts": "no tc"}, page)
    assert text_of(page).count("| not measured: no tc |") == 2
    assert not (tmp_path / "workers.png").exists() and PLOT not in page.read_text()


def test_the_page_is_the_last_measurement():
    path = RESULTS / "workers.json"
    if not path.exists():
        pytest.skip("not measured yet: make benchmark-workers")
    result = json.loads(path.read_text())
    parts = tables(result) | {"workers-plot": PLOT if result["hosts"] else ""}
    text = PAGE.read_text()
    assert fill(text, parts) == text, "`make benchmark-workers` makes the tables anew"


@pytest.fixture
def feed(tmp_path):
    """The file of a batch of two images."""
    path = tmp_path / "batch.npz"
    image = np.random.default_rng(0).normal(size=(2, 3, 300, 300)).astype("float32")
    box = np.tile(np.float32([0.2, 0.2, 0.6, 0.6]), (2, 1, 1))
    label = np.ones((2, 1), "int32")
    np.savez(path, image=image, gt_box=box, gt_label=label, gt_difficult=label * 0)
    return path


def test_two_hosts_send_no_faster_than_their_cable(feed):
    try:
        with two_hosts(gigabits=1.0) as hosts:
            told = measure(0.0, 2, 1, 2, hosts, feed)
    except NoHostsError as error:
        pytest.skip(str(error))
    times = told["milliseconds"]
    assert (
        len(times["alone"])
        == len(times["beside"])
        == len(times["prepared"])
        == len(times["step"])
        == 2
    )
    least = adding_up_ms(2, told["megabytes"], 1.0, 0.0)
    # What the cable lets through at once is 1% of it. No load makes this quicker.
    assert min(times["adding up"]) > 0.9 * least > 100
    assert min(times["step"]) > 0.9 * least


def test_a_worker_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"No such file or directory: '.*lost\.npz'"):
        measure(0.0, 1, 1, 1, feed=tmp_path / "lost.npz")


def test_hosts_need_a_tool_and_a_right(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoHostsError, match="there is no ip command here"), two_hosts():
        pass
    ip = tmp_path / "ip"
    ip.write_text("#!/bin/sh\necho Operation not permitted >&2\nexit 1\n")
    ip.chmod(0o755)
    with pytest.raises(NoHostsError, match="`ip netns add` fails here: Operation not"), two_hosts():
        pass
