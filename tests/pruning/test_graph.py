"""The indexed graph against paddleslim's own, which looks through all operators each time."""

import pytest
from paddleslim.core import GraphWrapper

from pruning.dependencies import analyse
from pruning.graph import IndexedGraph
from ssd_model.programs import build_detector


@pytest.fixture(scope="module")
def program():
    return build_detector(4, is_train=False, image_size=96).program


def test_every_variable_has_the_same_operators_around_it(program):
    theirs, ours = GraphWrapper(program), IndexedGraph(program)
    for one, other in zip(theirs.vars(), ours.vars(), strict=True):
        assert one == other
        assert [op.idx() for op in one.inputs()] == [op.idx() for op in other.inputs()]
        assert [op.idx() for op in one.outputs()] == [op.idx() for op in other.outputs()]


def test_a_name_that_is_not_there(program):
    assert IndexedGraph(program).var("conv2d_99.w_0") is None


def test_channels_are_followed_as_in_paddleslim(program, monkeypatch):
    ours = analyse(program)
    monkeypatch.setattr("pruning.dependencies.IndexedGraph", GraphWrapper)
    assert analyse(program) == ours
