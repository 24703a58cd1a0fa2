"""The network's dependencies as JSON, from which the pages plan."""

from typing import Any

from pruning.dependencies import Dependencies


def as_json(dependencies: Dependencies) -> dict[str, Any]:
    """What docs/_static/plan.js and pattern.js read.

    Returns:
        shapes: of all parameters, by name; convs: the kernel's output map and the vectors behind
        each filter; groups: [parameter, axis] of what is cut together, by master; refusals: why a
        parameter cannot be cut by name, for all that cannot.
    """
    refusals = {name: dependencies.why_not(name) for name in dependencies.shapes}
    return {
        "shapes": dependencies.shapes,
        "convs": {
            conv.name: {"map_size": conv.map_size, "vectors": conv.vectors}
            for conv in dependencies.convs.values()
        },
        "groups": {group.master: group.members for group in dependencies.groups.values()},
        "refusals": {name: reason for name, reason in refusals.items() if reason},
    }
