"""Where Programs run. No GPU is needed: what Paddle says of GPUs is made up here."""

import sys
from importlib.metadata import distributions

import numpy as np
import paddle
import pytest

from ssd_model import kernels, runtime
from ssd_model.place import default_place, on_cpu
from ssd_model.scope import read_tensor, write_tensor
from tests.ssd_model.test_runtime import python

FIRST, SECOND = "the first GPU", "the second GPU"


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs."""
    monkeypatch.delenv("PLACE")
    monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(paddle.static, "cuda_places", lambda: [FIRST, SECOND])


def test_a_gpu_is_used_where_there_is_one(gpus):
    assert default_place() == FIRST
    assert not on_cpu()


@pytest.mark.parametrize("said", ["", "cpu"])
def test_else_the_cpu_is_used(monkeypatch, said):
    monkeypatch.setenv("PLACE", said)
    assert paddle.device.cuda.device_count() == 0, "these tests are for a machine without a GPU"
    assert isinstance(default_place(), paddle.CPUPlace)


def test_place_cpu_overrides(gpus, monkeypatch):
    monkeypatch.setenv("PLACE", "cpu")
    assert isinstance(default_place(), paddle.CPUPlace)


def test_onednn_stays_out_of_the_way_of_a_gpu(monkeypatch, request):
    monkeypatch.setattr(kernels.platform, "machine", lambda: "x86_64")
    assert kernels.has_onednn()
    request.getfixturevalue("gpus")
    assert not kernels.has_onednn()


@pytest.mark.parametrize(
    ("installed", "said", "serial"),
    [(False, "", True), (True, "", False), (True, "cpu", True)],
)
def test_one_executor_thread_is_for_the_cpu_only(monkeypatch, installed, said, serial):
    found = list(distributions(name="numpy")) if installed else []
    monkeypatch.setattr(runtime, "distributions", lambda name: found)
    monkeypatch.setenv("PLACE", said)
    monkeypatch.delenv("FLAGS_new_executor_serial_run", raising=False)
    runtime._set_environment()
    assert ("FLAGS_new_executor_serial_run" in runtime.os.environ) == serial


@pytest.mark.parametrize("command", ["import utils"])
def test_another_place_is_refused_with_a_sentence(command):
    done = python(command, PLACE="gpu")
    sentence = "PLACE is 'gpu': set it to cpu, or leave it out to use a GPU where Paddle has one\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def test_in_a_notebook_it_is_an_error_below_the_cell(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setenv("PLACE", "tpu")
    with pytest.raises(ValueError, match="PLACE is 'tpu'"):
        runtime.prepare()


def test_a_new_tensor_is_where_programs_run_and_an_old_one_stays(monkeypatch):
    scope = paddle.static.Scope()
    write_tensor(scope, "old", np.zeros(2, "float32"))
    elsewhere = paddle.CPUPlace()
    asked = []
    monkeypatch.setattr("ssd_model.scope.default_place", lambda: asked.append(1) or elsewhere)
    write_tensor(scope, "old", np.ones(3, "float32"))
    assert not asked
    write_tensor(scope, "new", np.ones(3, "float32"))
    assert asked
    for name in ("old", "new"):
        assert read_tensor(scope, name).tolist() == [1, 1, 1]
