"""The life of one image as a small state machine: image, build, lease, removal, upgrade, alteration.

An event is a function from a state to the next one, or to None where it is not possible. `test_search.py`
looks at every state that can be reached; `test_operations.py` holds the model against the operations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType


class Row(StrEnum):
    """The image's row."""

    NONE = "none"
    THERE = "there"
    REMOVED = "removed"
    DELETING = "deleting"


class Work(StrEnum):
    """A build or an alteration. `ORPHANED`: its worker is dead or was stopped past its lease."""

    NONE = "none"
    QUEUED = "queued"
    HELD = "held"
    ORPHANED = "orphaned"
    RESOLVED = "resolved"


ACTIVE = (Work.QUEUED, Work.HELD, Work.ORPHANED)
BUILDING, REBUILDING, READY = "BUILDING_FIRST_TIME", "REBUILDING", "READY"
FAILED, OUTDATED = "FAILED", "OUTDATED"
# So many revisions are told apart: the current one and the one to roll back to.
REVISIONS = 2


@dataclass(frozen=True)
class State:
    """`revisions` are the successful builds, the last one current: whether each stands on the newest base.

    `fresh` says it of the active build. `lingering`: a worker still holds the lease of a cancelled build.
    `moves` are the changes of the base image that may still come, which keeps the search finite.
    """

    row: Row = Row.NONE
    repository: bool = False
    status: str = ""
    revisions: tuple[bool, ...] = ()
    build: Work = Work.NONE
    fresh: bool = False
    lingering: bool = False
    alteration: Work = Work.NONE
    moves: int = 1

    @property
    def settled(self) -> str:
        """The status with no build under way."""
        if not self.revisions:
            return FAILED
        return READY if self.revisions[-1] else OUTDATED


Event = Callable[[State], State | None]


def create(s: State) -> State | None:
    if s.row is not Row.NONE:
        return None
    return State(Row.THERE, status=BUILDING, build=Work.QUEUED, fresh=True, moves=s.moves)


def make_repository(s: State) -> State | None:
    return replace(s, repository=True) if s.row is Row.THERE and not s.repository else None


def begin(s: State, fresh: bool) -> State | None:
    """What rebuild, alter, roll back and upgrade share: only where nothing is under way."""
    if s.row is not Row.THERE or s.build is not Work.NONE:
        return None
    status = REBUILDING if s.revisions else BUILDING
    return replace(s, build=Work.QUEUED, fresh=fresh, status=status)


def rebuild(s: State) -> State | None:
    return begin(s, True)


def roll_back(s: State) -> State | None:
    return begin(s, s.revisions[-2]) if len(s.revisions) > 1 else None


def upgrade(s: State) -> State | None:
    return begin(s, True) if s.status == OUTDATED else None


def claim(s: State) -> State | None:
    """Also before the repository is there: resolving needs none."""
    return replace(s, build=Work.HELD) if s.build in (Work.QUEUED, Work.ORPHANED) else None


def succeed(s: State) -> State | None:
    if s.build is not Work.HELD or not s.repository:
        return None
    revisions = (*s.revisions, s.fresh)[-REVISIONS:]
    done = replace(s, build=Work.NONE, fresh=False, revisions=revisions)
    return replace(done, status=done.settled)


def fail(s: State) -> State | None:
    if s.build is not Work.HELD:
        return None
    return replace(s, build=Work.NONE, fresh=False, status=FAILED)


def repeat(s: State) -> State | None:
    """The index or the registry failed: the build is queued once more."""
    return replace(s, build=Work.QUEUED) if s.build is Work.HELD else None


def hand_over(s: State) -> State | None:
    """The worker was told to stop."""
    return replace(s, build=Work.QUEUED) if s.build is Work.HELD else None


def lose_worker(s: State) -> State | None:
    return replace(s, build=Work.ORPHANED) if s.build is Work.HELD else None


def come_back(s: State) -> State | None:
    """A worker that was stopped past its lease goes on, before any other has taken its build over."""
    return replace(s, build=Work.HELD) if s.build is Work.ORPHANED else None


def stop_build(s: State) -> State:
    return replace(s, build=Work.NONE, fresh=False, lingering=s.lingering or s.build is Work.HELD)


def cancel(s: State) -> State | None:
    if s.row is not Row.THERE or s.build not in ACTIVE:
        return None
    stopped = stop_build(s)
    return replace(stopped, status=stopped.settled)


def let_go(s: State) -> State | None:
    """The worker of a cancelled build notices, or its lease runs out."""
    return replace(s, lingering=False) if s.lingering else None


def propose(s: State) -> State | None:
    possible = s.row is Row.THERE and s.alteration is Work.NONE
    return replace(s, alteration=Work.QUEUED) if possible else None


def claim_alteration(s: State) -> State | None:
    possible = s.alteration in (Work.QUEUED, Work.ORPHANED)
    return replace(s, alteration=Work.HELD) if possible else None


def resolve(s: State) -> State | None:
    return replace(s, alteration=Work.RESOLVED) if s.alteration is Work.HELD else None


def lose_resolver(s: State) -> State | None:
    return replace(s, alteration=Work.ORPHANED) if s.alteration is Work.HELD else None


def alter(s: State) -> State | None:
    begun = begin(s, True) if s.alteration is Work.RESOLVED else None
    return replace(begun, alteration=Work.NONE) if begun else None


def move_base(s: State) -> State | None:
    """A newer base image becomes current; a proposal for the older one is forgotten."""
    if not s.moves or s.alteration is not Work.NONE:
        return None
    status = OUTDATED if s.row is Row.THERE and s.status == READY else s.status
    stale = tuple(False for _ in s.revisions)
    return replace(s, moves=s.moves - 1, status=status, revisions=stale, fresh=False)


def remove(s: State) -> State | None:
    return replace(stop_build(s), row=Row.REMOVED, status="") if s.row is Row.THERE else None


def restore(s: State) -> State | None:
    return replace(s, row=Row.THERE, status=s.settled) if s.row is Row.REMOVED else None


def delete(s: State) -> State | None:
    """Somebody deletes it for good, or the time in which it can be restored is over."""
    return replace(s, row=Row.DELETING) if s.row is Row.REMOVED else None


def delete_repository(s: State) -> State | None:
    possible = s.row is Row.DELETING and not s.lingering
    return State(moves=s.moves) if possible else None


USERS: Mapping[str, Event] = MappingProxyType(
    {
        event.__name__: event
        for event in (create, rebuild, roll_back, cancel, propose, alter, remove, restore, delete)
    }
)
# What the platform's processes do by themselves.
PLATFORM: Mapping[str, Event] = MappingProxyType(
    {
        event.__name__: event
        for event in (
            make_repository, claim, succeed, let_go, claim_alteration, resolve, upgrade,
            delete_repository,
        )
    }
)  # fmt: skip
OTHERS: Mapping[str, Event] = MappingProxyType(
    {
        event.__name__: event
        for event in (fail, repeat, hand_over, lose_worker, come_back, lose_resolver, move_base)
    }
)
EVENTS: Mapping[str, Event] = MappingProxyType({**USERS, **PLATFORM, **OTHERS})


def broken_invariants(s: State) -> list[str]:
    """What must hold in every state, by name, where it does not."""
    there, active = s.row is Row.THERE, s.build in ACTIVE
    current = bool(s.revisions)
    rules = {
        "a ready image has a current build on the newest base": s.status != READY
        or (current and s.revisions[-1]),
        "an outdated image has a current build": s.status != OUTDATED or current,
        "an image says that it is built just while a build is active": not there
        or (s.status in (BUILDING, REBUILDING)) == active,
        "an image that is rebuilt has a current build": (s.status == REBUILDING)
        == (there and active and current),
        "only an image that is there is built": there or not active,
        "what was built is in a repository": s.repository or not current,
        "a name that is free has nothing left": s.row is not Row.NONE or s == State(moves=s.moves),
    }
    return [name for name, holds in rules.items() if not holds]


def is_quiet(s: State) -> bool:
    """Whether every request has its end."""
    return (
        s.build not in ACTIVE
        and s.alteration not in ACTIVE
        and s.row is not Row.DELETING
        and s.status != OUTDATED
        and not s.lingering
    )


def step(s: State, events: Mapping[str, Event] = EVENTS) -> dict[str, State]:
    """The next states by the events that lead to them."""
    found = {name: event(s) for name, event in events.items()}
    return {name: after for name, after in found.items() if after is not None}


def reachable(begin: State | None = None) -> dict[State, tuple[State, str] | None]:
    """Every state that can be reached, with the step that reached it first: breadth first."""
    first = begin or State()
    found: dict[State, tuple[State, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        for name, after in step(state).items():
            if after not in found:
                found[after] = (state, name)
                queue.append(after)
    return found


def path_to(state: State, found: Mapping[State, tuple[State, str] | None]) -> list[str]:
    """The events that lead to a state, for whoever reads of a broken invariant."""
    names = []
    while (before := found[state]) is not None:
        state, name = before
        names.append(name)
    return names[::-1]


def can_reach(
    goal: Callable[[State], bool], states: Iterable[State], events: Mapping[str, Event]
) -> set[State]:
    """The states from which these events alone can lead to the goal."""
    known = list(states)
    before: dict[State, list[State]] = {}
    for state in known:
        for after in step(state, events).values():
            before.setdefault(after, []).append(state)
    good = {state for state in known if goal(state)}
    queue = deque(good)
    while queue:
        for state in before.get(queue.popleft(), ()):
            if state not in good:
                good.add(state)
                queue.append(state)
    return good
