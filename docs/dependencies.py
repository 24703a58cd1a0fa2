"""The network's dependencies as JSON, from which the pages plan."""

from typing import Any

from pruning.dependencies import Dependencies


def as_json(dependencies: Dependencies) -> dict[str, Any]:
    """What docs/_static/plan.js and pattern.js read.

    Returns:
        shapes: of all parameters, by name; positions: how often an image meets each filter and
        each matrix; vectors: the parameters behind each filter; groups, by master and in the
        order of the Program: the master's blocks, the filters that lose the same, and of each
        member its name, its axis and what it loses there with a block; refusals: why a parameter
        cannot be cut by name, for all that cannot.
    """
    refusals = {name: dependencies.why_not(name) for name in dependencies.shapes}
    groups = {
        name: {
            "blocks": group.blocks,
            "filters": group.filters,
            "members": [
                [member, axis, size]
                for (member, axis), size in zip(group.members, group.sizes, strict=True)
            ],
        }
        for name, group in dependencies.groups.items()
    }
    return {
        "shapes": dependencies.shapes,
        "positions": dependencies.positions,
        "vectors": {conv.name: conv.vectors for conv in dependencies.convs.values()},
        "groups": groups,
        "refusals": {name: reason for name, reason in refusals.items() if reason},
    }
