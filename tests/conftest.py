"""Paddle must be set up before any module imports it, whichever test runs first."""

import os

os.environ["PLACE"] = "cpu"  # what is tested, and where the golden values hold
os.environ.pop("WORKERS", None)

import utils  # noqa: F401  isort: skip

from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, settings

from pruning.config import load_config, write_config
from ssd_model.scope import empty_scope
from tests.helpers.small_run import SCOPES
from tests.helpers.voc_folder import make_voc

# Quick and the same each time, for the gate; the long one looks for what that one misses.
options = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("gate", max_examples=200, derandomize=True, **options)
settings.register_profile("long", max_examples=10_000, **options)
settings.load_profile("gate")


@pytest.fixture
def program():
    """A new Program with its own names and scope, in static mode."""
    paddle.enable_static()
    main, startup = paddle.static.Program(), paddle.static.Program()
    with (
        paddle.utils.unique_name.guard(),
        paddle.static.program_guard(main, startup),
        paddle.static.scope_guard(paddle.static.Scope()),
    ):
        yield main


@pytest.fixture
def run(program):
    """`run(feed, fetch_list)`: start the Program up once, then run it."""
    executor = paddle.static.Executor(paddle.CPUPlace())
    started = []

    def run(feed: dict, fetch_list: list) -> list[np.ndarray]:
        if not started:
            executor.run(paddle.static.default_startup_program())
            started.append(True)
        return executor.run(program, feed=feed, fetch_list=fetch_list)

    return run


@pytest.fixture(autouse=True)
def free_scopes():
    yield
    while SCOPES:
        empty_scope(SCOPES.pop())


@pytest.fixture
def voc(tmp_path):
    return make_voc(tmp_path / "voc")


@pytest.fixture
def config(tmp_path):
    """Writes a config for `small_run.Setup`."""

    def write(start=0, target=0.2, pattern="conv2d_[1-9].w_0", epoch=1, checkpoints="unused"):
        path = tmp_path / "compress.yaml"
        write_config(path, epoch, tmp_path / checkpoints, target, pattern)
        path.write_text(path.read_text().replace("start_epoch: 0", f"start_epoch: {start}"))
        return path

    return write


@pytest.fixture
def read(tmp_path):
    """Reads a config from its text."""

    def read(text: str):
        path = tmp_path / "compress.yaml"
        path.write_text(text)
        return load_config(path)

    return read


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    """A folder for the cases that are made up."""
    return tmp_path_factory.mktemp("fuzz")
