"""The model against the real operations: each event happens there just where the model has it, with its end.

What the model says is impossible must be refused by the operations, or change nothing; who was a worker once
and is none any more must not be able to write. Searched lives have every event in every kind of state;
hypothesis chooses others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from images.models import build as build_models
from images.models.lease import LeaseLost
from images.operations import removal
from ri_platform.errors import DomainError
from tests.cast import Cast
from tests.images.queries.kept_counts import assert_counts_are_true
from tests.local_aws import LocalAWS
from tests.model.lifecycle import EVENTS, State, broken_invariants, step
from tests.model.real import Real
from tests.model.walks import lives

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
EXAMPLES, STEPS = 6, 25
BEGIN = State(moves=2)


class Life:
    """One life in the model and in the real thing."""

    def __init__(self, real: Real) -> None:
        self.real, self.model = real, BEGIN

    def happen(self, name: str) -> None:
        """An event that is possible, in both."""
        try:
            getattr(self.real, name)()
        except (DomainError, LookupError, LeaseLost) as error:
            raise AssertionError(f"{name} was refused in {self.model}") from error
        self.model = step(self.model)[name]
        self.agree(f"after {name}")

    def cannot_happen(self, name: str) -> None:
        """An event that the model does not have here is refused, or changes nothing."""
        with suppress(DomainError, LookupError, LeaseLost):
            getattr(self.real, name)()
        self.agree(f"after {name}, which is impossible")

    def agree(self, when: str) -> None:
        # How often bases move is the model's own affair.
        found = replace(self.real.state(), moves=self.model.moves)
        assert found == self.model, when
        assert not broken_invariants(found)

    def former_workers_write(self) -> None:
        self.real.write_as_former_workers()
        self.agree("after former workers wrote")


@pytest.fixture
def make_life(
    cast: Cast, registry: LocalAWS, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Life]:
    # A young build does not wait for its repository; here none grows old.
    monkeypatch.setattr(build_models, "MADE_WITHIN", timedelta(days=1))
    settings.REMOVAL_GRACE = timedelta(hours=1)
    settings.MAX_WAITING_BUILDS = 10_000
    return lambda: Life(Real(cast, registry))


def of_work(state: State) -> Hashable:
    return state.row, state.build, state.alteration


def of_work_and_what_is_left(state: State) -> Hashable:
    return state.row, state.build, state.alteration, state.lingering, state.repository


@pytest.mark.parametrize(
    "kind", [of_work, pytest.param(of_work_and_what_is_left, marks=pytest.mark.long)]
)
def test_every_event_in_every_kind_of_state(
    make_life: Callable[[], Life], kind: Callable[[State], Hashable]
) -> None:
    """Also those that the model does not have there, each once."""
    tried = set[tuple[Hashable, str]]()
    for names in lives(BEGIN, kind):
        life = make_life()
        for name in names:
            here = kind(life.model)
            for other in EVENTS.keys() - step(life.model).keys():
                # Whether bases move is not the operations' to refuse.
                if other != "move_base" and (here, other) not in tried:
                    tried.add((here, other))
                    life.cannot_happen(other)
            life.happen(name)
        assert_counts_are_true()
        life.former_workers_write()
        life.real.end()


def test_an_operation_that_does_not_do_its_work_is_found(
    make_life: Callable[[], Life], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "restore_image", lambda actor, name: None)
    life = make_life()
    for name in ("create", "make_repository", "claim", "succeed", "remove"):
        life.happen(name)
    with pytest.raises(AssertionError, match="after restore"):
        life.happen("restore")


class Lives(RuleBasedStateMachine):
    """Events in an order that hypothesis chooses."""

    make_life: Callable[[], Life]

    def __init__(self) -> None:
        super().__init__()
        self.life = type(self).make_life()

    @rule(data=st.data())
    def something_possible(self, data: st.DataObject) -> None:
        self.life.happen(data.draw(st.sampled_from(sorted(step(self.life.model)))))
        assert_counts_are_true()

    @rule(data=st.data())
    def something_impossible(self, data: st.DataObject) -> None:
        others = sorted(EVENTS.keys() - step(self.life.model).keys() - {"move_base"})
        self.life.cannot_happen(data.draw(st.sampled_from(others)))

    @rule()
    def former_workers_write(self) -> None:
        self.life.former_workers_write()

    def teardown(self) -> None:
        self.life.real.end()


def test_any_events_in_any_order(make_life: Callable[[], Life]) -> None:
    class Machine(Lives):
        pass

    Machine.make_life = staticmethod(make_life)
    run_state_machine_as_test(Machine, settings=LIMITS)


LIMITS = hypothesis_settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[*HealthCheck],
    # A failure is told with its steps; making them fewer takes minutes with real rows.
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
