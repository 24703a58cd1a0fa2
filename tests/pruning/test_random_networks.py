"""Networks of a few layers, put together at random: what is cut computes as if it were zero."""

import random

import paddle
import pytest
from paddle.nn import functional as F
from paddleslim.analysis import flops

import utils  # noqa: F401
from pruning.dependencies import analyse
from tests.helpers.own_networks import build
from tests.helpers.small_networks import check, conv, linear, norm, pooled, sigmoid


def alike(rng, x, maps):
    return rng.choice([other for other in maps if other.shape == x.shape])


def as_high(rng, x, maps):
    return rng.choice([other for other in maps if other.shape[2:] == x.shape[2:]])


STEPS = [
    lambda rng, x, maps: conv(x, rng.choice([4, 6, 8]), rng.choice([1, 3])),
    lambda rng, x, maps: norm(conv(x, x.shape[1], bias=False)) + x,
    lambda rng, x, maps: x + alike(rng, x, maps),
    lambda rng, x, maps: paddle.concat([x, as_high(rng, x, maps)], 1),
    lambda rng, x, maps: F.relu6(norm(conv(x, x.shape[1], groups=x.shape[1], bias=False))),
    lambda rng, x, maps: conv(x, x.shape[1], groups=2),
    lambda rng, x, maps: x * sigmoid(conv(F.adaptive_avg_pool2d(x, 1), x.shape[1], 1)),
    lambda rng, x, maps: F.interpolate(F.max_pool2d(x, 2), scale_factor=2),
    lambda rng, x, maps: F.hardswish(norm(x)),
    lambda rng, x, maps: F.avg_pool2d(x, 3, 1, 1),
]


def random_network(rng: random.Random):
    """A few layers of all kinds in any order, each on any map that is there."""

    def make(x):
        maps = [conv(x, rng.choice([4, 6, 8]))]
        for _ in range(rng.randint(4, 10)):
            maps.append(rng.choice(STEPS)(rng, rng.choice(maps), maps))
        ends = rng.sample(maps, rng.randint(1, 2))
        return linear(paddle.concat([pooled(x) for x in (maps[-1], *ends)], 1))

    return make


@pytest.mark.parametrize("seed", range(25))
def test_any_network_is_cut_as_planned(seed):
    rng = random.Random(seed)
    network = build(random_network(rng), (3, 8, 8), seed)
    dependencies = analyse(network.evaluation, network.train)
    assert dependencies.groups.keys() | dependencies.refused.keys() == dependencies.convs.keys()
    masters = dependencies.masters(dependencies.groups)
    masters = rng.sample(masters, rng.randint(0, len(masters)))
    plan, evaluation = check(network, {name: rng.uniform(0, 0.6) for name in masters})
    assert plan.flops == flops(evaluation)
