"""The order in which pip would install the libraries of a lock: of files at one path, the last one's stays.

What nothing depends on comes last, and of equals the first by the alphabet. Source: pip's
`get_topological_weights` and `get_installation_order` (`_internal/resolution/resolvelib/resolver.py`). Where
libraries depend on each other in a circle, pip's order is one of several; this one depends on the names
alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

# How often pip looks at a library of a circle.
MAX_VISITS = 5


def installation_order(dependencies: Mapping[str, Collection[str]]) -> list[str]:
    """The keys in pip's order, of library → the libraries that it depends on; names are normalized."""
    graph = {
        name: {needed for needed in needs if needed in dependencies and needed != name}
        for name, needs in dependencies.items()
    }
    weights: dict[str, int] = {}
    while leaves := {name for name, needs in graph.items() if not needs}:
        weights |= dict.fromkeys(leaves, len(graph))
        graph = {name: needs - leaves for name, needs in graph.items() if name not in leaves}
    weights |= depths(graph)
    return sorted(weights, key=lambda name: (weights[name], name), reverse=True)


def depths(graph: Mapping[str, Collection[str]]) -> dict[str, int]:
    """How deep each library of a graph lies below those that nothing depends on; circles are broken."""
    needed = {name for needs in graph.values() for name in needs}
    found: dict[str, list[int]] = defaultdict(list)
    visit(graph, sorted(graph.keys() - needed), found)
    for name in sorted(graph):
        if not found[name]:
            visit(graph, [name], found)
    return {name: max(found[name]) for name in graph}


def visit(
    graph: Mapping[str, Collection[str]], roots: Iterable[str], found: dict[str, list[int]]
) -> None:
    """Go down from the roots, depth first, and note the depth of each library at each visit."""
    path: dict[str, None] = {}
    stack = [iter(roots)]
    while stack:
        child = next(
            (name for name in stack[-1] if name not in path and len(found[name]) < MAX_VISITS), None
        )
        if child is not None:
            path[child] = None
            stack.append(iter(sorted(graph[child])))
            continue
        stack.pop()
        if path:
            name, _ = path.popitem()
            found[name].append(len(path) + 1)
