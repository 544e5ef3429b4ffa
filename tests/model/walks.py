"""Lives of an image that together have each event in each kind of state, found by search."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator

from tests.model.lifecycle import State, reachable, step

Kind = Callable[[State], Hashable]


def lives(begin: State, kind: Kind) -> Iterator[list[str]]:
    """The events of each life from its begin, until each event was in each kind of state where it can be."""
    left = {(kind(state), name) for state in reachable(begin) for name in step(state)}
    while left:
        state, life = begin, list[str]()
        while names := way_to_one(state, kind, left):
            for name in names:
                left.discard((kind(state), name))
                state = step(state)[name]
            life += names
        yield life


def way_to_one(state: State, kind: Kind, wanted: set[tuple[Hashable, str]]) -> list[str]:
    """The fewest events that end with a wanted one; none if no wanted one can be reached from here."""
    ways: dict[State, list[str]] = {state: []}
    queue = deque([state])
    while queue:
        here = queue.popleft()
        for name, after in step(here).items():
            if (kind(here), name) in wanted:
                return [*ways[here], name]
            if after not in ways:
                ways[after] = [*ways[here], name]
                queue.append(after)
    return []
