"""Patterns, targets and ratios of any kind: see fuzzing.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruning.dependencies import analyse
from pruning.pattern import PatternError
from pruning.plan import Plan, PlanError
from pruning.search import search_uniform_plan
from ssd_model.programs import build_detector
from tests.helpers.fuzzing import no_hang


@pytest.fixture(scope="module")
def dependencies():
    return analyse(build_detector(4, is_train=False, image_size=96).program)


PIECES = [
    "conv2d_", "depthwise_", "[1-9]", "1", "2", ".w_0", r"\.", "|", "(", ")", "*", "+", "?",
    "{1,9}", "{9999999999}", "[", "]", "^", "$", "(?=", "(?i)", r"\1", "\\", ".*", "(.+)+",
    "batch_norm_",
]  # fmt: skip
patterns = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=12)
numbers = st.floats() | st.integers(-3, 3) | st.floats(0, 1)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@given(pattern=patterns, target=numbers)
def test_patterns_and_targets(dependencies, pattern, target):
    try:
        with no_hang():
            plan = search_uniform_plan(dependencies, pattern, target)
    except (PatternError, PlanError) as error:
        assert str(error)
    else:
        check_plan(plan)


@given(ratios=st.dictionaries(st.sampled_from([f"conv2d_{i}.w_0" for i in range(35)]), numbers))
def test_plans(dependencies, ratios):
    try:
        plan = Plan(dependencies, ratios)
    except PlanError as error:
        assert any(name in str(error) for name in ratios)
    else:
        check_plan(plan)


def check_plan(plan: Plan) -> None:
    unpruned = Plan(plan.dependencies, {})
    assert 0 < plan.flops <= unpruned.flops and 0 < plan.parameters <= unpruned.parameters
    for name, shape in plan.shapes.items():
        assert all(0 < left <= had for left, had in zip(shape, unpruned.shapes[name], strict=True))
    assert len(plan.table()) == len(plan.dependencies.convs) and plan.summary()


@pytest.mark.parametrize("pattern", ["((.+)+)+z", ".*" * 25 + "z", "(a|b|c|[a-z0-9_.]|.)*(.|..)*!"])
def test_a_pattern_that_would_never_end(dependencies, pattern):
    with no_hang(), pytest.raises(PatternError, match="takes more than 2 s"):
        dependencies.match(pattern)
