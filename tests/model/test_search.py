"""The whole model: every state that can be reached keeps the invariants, and none is a dead end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model import lifecycle
from tests.model.lifecycle import (
    EVENTS,
    PLATFORM,
    READY,
    Row,
    State,
    Work,
    broken_invariants,
    can_reach,
    is_quiet,
    path_to,
    reachable,
)
from tools import lifecycle_diagram

FOUND = reachable(State(moves=2))


def test_every_state_keeps_the_invariants() -> None:
    broken = {
        " → ".join(path_to(state, FOUND)): rules
        for state in FOUND
        if (rules := broken_invariants(state))
    }
    assert not broken


def test_every_request_has_its_end_by_what_the_platform_does_alone() -> None:
    stuck = set(FOUND) - can_reach(is_quiet, FOUND, PLATFORM)
    assert not [" → ".join(path_to(state, FOUND)) for state in stuck]


@pytest.mark.slow
def test_an_image_can_be_made_ready_from_every_state() -> None:
    ready = can_reach(lambda state: state.status == READY, FOUND, EVENTS)
    assert not [" → ".join(path_to(state, FOUND)) for state in set(FOUND) - ready]


@pytest.mark.slow
def test_every_event_happens_somewhere() -> None:
    happened = {name for state in FOUND for name in lifecycle.step(state)}
    assert happened == set(EVENTS)


@pytest.mark.slow
def test_a_defect_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that keeps building what is removed breaks an invariant, with the way there."""

    def remove(s: State) -> State | None:
        return replace(s, row=Row.REMOVED, status="") if s.row is Row.THERE else None

    monkeypatch.setattr(lifecycle, "EVENTS", {**EVENTS, "remove": remove})
    found: dict[State, tuple[State, str] | None] = {State(): None}
    queue = [State()]
    while queue:
        state = queue.pop(0)
        for name, after in lifecycle.step(state, lifecycle.EVENTS).items():
            if after not in found:
                found[after] = (state, name)
                queue.append(after)
    broken = [state for state in found if broken_invariants(state)]
    assert broken
    assert path_to(broken[0], found) == ["create", "remove"]
    assert broken[0].build is Work.QUEUED


@pytest.mark.slow
def test_the_diagram_in_the_documentation_is_the_models() -> None:
    assert lifecycle_diagram.main(["--check"]) == 0, "Run: make docs"
