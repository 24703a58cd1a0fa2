"""The criteria that are measured: which channels matter, on images of the training set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pruning.criteria import MEASURED
from pruning.cut import Criterions
from pruning.dependencies import Dependencies
from pruning.layer_samples import ScopedProgram, first_input
from pruning.selection import measure_eliminations
from pruning.taylor import taylor


@dataclass(frozen=True)
class Ranking:
    """Decides which channels of a network go first."""

    criterions: Criterions
    """Criterions as a config names them, or the importance if it was measured."""
    errors: Mapping[str, np.ndarray] = field(default_factory=dict)
    """`Elimination.errors` of the filters that are ranked by reconstruction, by name."""


def measured(criterions: Criterions, names: Sequence[str]) -> dict[str, list[str]]:
    """List the filters that each criterion of `MEASURED` ranks."""
    by_name = {name: criterions.get(name, criterions["*"]) for name in names}
    return {kind: [n for n, named in by_name.items() if named == kind] for kind in MEASURED}


def rank(
    criterions: Criterions,
    names: Sequence[str],
    dependencies: Dependencies,
    evaluation: ScopedProgram,
    training: ScopedProgram,
    batches: Sequence[Mapping[str, np.ndarray]],
) -> Ranking:
    """Measure what the criterions ask for; if none is in `MEASURED`, nothing is run.

    Args:
        names: filters to rank.
        evaluation, training: the network before pruning; they are only read.
        batches: what the train Program is fed.

    Raises:
        ValueError: see `measure_eliminations` and `taylor`.
    """
    asked = measured(criterions, names)
    found = dict(criterions)
    errors = {}
    if asked["taylor"]:
        found |= taylor(training, asked["taylor"], batches)
    if asked["reconstruction"]:
        image = first_input(evaluation.program)
        images = [batch[image] for batch in batches]
        chosen = measure_eliminations(evaluation, dependencies, asked["reconstruction"], images)
        for name, elimination in chosen.items():
            found[name] = elimination.importance
            errors[name] = elimination.errors
    return Ranking(found, errors)
