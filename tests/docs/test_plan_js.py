"""What the pages compute is what Python computes: plans and the search for them."""

import json
import random
import re

import paddle
import pytest

from docs.dependencies import as_json
from pruning.dependencies import analyse
from pruning.plan import Plan, PlanError
from pruning.search import nearest_uniform_plan
from ssd_model.programs import build_detector
from tests.helpers.browser import needs_browser
from tests.helpers.own_networks import build

pytestmark = needs_browser


def mixed(image):
    """A residual addition, a convolution with groups, and a matrix of weights."""
    x = paddle.static.nn.conv2d(image, 12, 3, padding=1)
    x = paddle.nn.functional.relu(x + paddle.static.nn.conv2d(x, 12, 3, padding=1))
    x = paddle.static.nn.conv2d(x, 24, 3)
    x = paddle.static.nn.conv2d(x, 18, 3, groups=6)
    x = paddle.static.nn.conv2d(x, 20, 1)
    return paddle.nn.Linear(20, 4)(x.mean(axis=[2, 3]))


@pytest.fixture(scope="module", params=["detector", "mixed"])
def dependencies(request):
    if request.param == "mixed":
        return analyse(build(mixed).evaluation)
    return analyse(build_detector(11, is_train=False).program)


@pytest.fixture
def planner(scripts, dependencies):
    """Calls a function of the page, which finds the dependencies in `DEPENDENCIES`."""
    scripts.evaluate("(found) => (window.DEPENDENCIES = found)", as_json(dependencies))

    def call(function: str, argument):
        return json.loads(scripts.evaluate(f"(x) => JSON.stringify(({function})(x))", argument))

    return call


FACTS = """(plan) => [plan.shapes, plan.flops, plan.parameters, plan.summary(),
  Object.fromEntries(Object.keys(plan.dependencies.positions).map(
    (name) => [name, [plan.layerFlops(name), plan.layerParameters(name)]]))]"""


def facts(plan: Plan) -> list:
    names = plan.dependencies.positions
    layers = {name: [plan.layer_flops(name), plan.layer_parameters(name)] for name in names}
    shapes = {name: list(shape) for name, shape in plan.shapes.items()}
    return [shapes, plan.flops, plan.parameters, plan.summary(), layers]


def test_random_plans_are_pythons(planner, dependencies):
    chance = random.Random(0)
    plans = []
    for _ in range(200):
        filters = list(dependencies.groups)
        names = chance.sample(filters, chance.randint(1, min(12, len(filters))))
        names = chance.choice([names, dependencies.masters(names)])
        # Eighths of 64 channels and the like: halves, too, that are rounded to the even neighbour.
        ratios = {n: chance.choice([chance.random(), chance.randrange(256) / 256]) for n in names}
        plans.append([ratios, chance.choice([1, 2, 8, 16, 48])])
    found = planner(
        f"""(plans) => plans.map(([ratios, multiple]) => {{
          try {{
            const plan = new planning.Plan(DEPENDENCIES, ratios).rounded(multiple);
            return ({FACTS})(plan);
          }} catch (error) {{
            if (!(error instanceof planning.PlanError)) throw error;
            return null;
          }}
        }})""",
        plans,
    )
    refused = 0
    for (ratios, multiple), page_facts in zip(plans, found, strict=True):
        try:
            expected = facts(Plan(dependencies, ratios).rounded(multiple))
        except PlanError:
            expected, refused = None, refused + 1
        assert page_facts == expected, ratios
    assert 0 < refused < 100


def test_random_searches_are_pythons(planner, dependencies):
    chance = random.Random(1)
    searches = []
    for _ in range(60):
        filters = list(dependencies.groups)
        names = chance.sample(filters, chance.randint(1, min(15, len(filters))))
        searches.append(["|".join(f"{re.escape(name)}$" for name in names), chance.random()])
    found = planner(
        f"""(searches) => searches.map(([text, target]) => {{
          try {{
            const names = pattern.matchFilters(text, DEPENDENCIES);
            const plan = planning.nearestUniformPlan(DEPENDENCIES, names, target);
            return [Object.entries(plan.ratios), ...({FACTS})(plan)];
          }} catch (error) {{
            return error.message;
          }}
        }})""",
        searches,
    )
    refused = 0
    for (pattern, target), page_facts in zip(searches, found, strict=True):
        try:
            plan = nearest_uniform_plan(dependencies, pattern, target)
            assert page_facts == [list(map(list, plan.ratios.items())), *facts(plan)]
        except PlanError as error:
            refused += 1
            # Python shortens the target.
            assert page_facts.replace(f"{target}", f"{target:g}") == str(error)
    assert 5 < refused < 55


@pytest.mark.parametrize(
    "pattern, message",
    [
        ("conv1_weights", "pruned_params 'conv1_weights' matches none of the "),
        ("conv2d_1|.*b_0$", "also matches what can't be cut:\n  "),
        ("(?P<a>conv)", "this page cannot tell what Python makes of (?P<a>conv)"),
        ("(conv", "is not a regular expression"),
    ],
)
def test_a_pattern_that_cannot_be_pruned_says_why(planner, pattern, message):
    found = planner(
        """(text) => {
          try {
            return pattern.matchFilters(text, DEPENDENCIES).join();
          } catch (error) {
            return error.message;
          }
        }""",
        pattern,
    )
    assert message in found
