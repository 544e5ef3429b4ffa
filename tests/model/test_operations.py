"""The model against the real operations: each event happens there just where the model has it, with its end.

hypothesis chooses the events. What the model says is impossible must be refused by the operations, or change
nothing; who was a worker once and is none any more must not be able to write.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from images.attestations import Library
from images.errors import RegistryUnavailable, ResolutionFailed
from images.jobs import alteration as alteration_job
from images.jobs import build as build_job
from images.jobs import build_outcome, repositories, upgrades
from images.jobs.build_outcome import Product
from images.jobs.journal import Journal
from images.models import Alteration, BaseImage, Build, ManagedImage
from images.models import build as build_models
from images.models.lease import LeaseLost, WorkState
from images.operations import alterations, builds, images, removal
from images.requirements import PipRequirement
from images.spec import ImageSpec
from ri_platform.errors import DomainError
from tests import factories
from tests.cast import Cast
from tests.images.queries.kept_counts import assert_counts_are_true
from tests.local_aws import LocalAWS
from tests.model.lifecycle import EVENTS, REVISIONS, Row, State, Work, broken_invariants
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
NAME = "modelled"
PRODUCT = Product("sha256:" + "a" * 64, "sha256:" + "b" * 64, 1, 1, [Library("numpy", "2.0")], [])
EXAMPLES, STEPS = 6, 25


class Real:
    """The events as the processes bring them about. Each raises `DomainError` or does nothing where the
    operations do not allow it.
    """

    def __init__(self, cast: Cast, aws: LocalAWS) -> None:
        self.cast, self.aws = cast, aws
        self.actor = Actor(cast.admin)
        factories.make_instance()
        self.base = factories.make_base_image()
        self.held: Build | None = None
        self.resolving: Alteration | None = None
        # Workers that lost their lease, or whose build was cancelled.
        self.former: list[Build] = []
        self.asked = 0

    def end(self) -> None:
        ManagedImage.objects.all().delete()
        BaseImage.objects.all().delete()
        self.aws.delete_images()

    @property
    def image(self) -> ManagedImage:
        image = ManagedImage.objects.filter(name=NAME).first()
        if image is None:
            raise LookupError
        return image

    def spec(self) -> ImageSpec:
        """One that nobody has asked for yet."""
        self.asked += 1
        return ImageSpec("all", "3.11", (PipRequirement("numpy", specifier=f"=={self.asked}"),))

    # --- people --------------------------------------------------------------------------------------------

    def create(self) -> None:
        images.create_image(self.actor, NAME, self.spec(), workspace=self.cast.workspace)

    def rebuild(self) -> None:
        builds.rebuild_image(self.actor, self.image)

    def roll_back(self) -> None:
        image = self.image
        past = (build for build in image.builds.revisions() if build.pk != image.current_build_id)
        earlier = next(past, None)
        if earlier is None:
            raise LookupError
        builds.roll_back_image(self.actor, self.image, earlier.number)

    def cancel(self) -> None:
        builds.cancel_build(self.actor, self.image)
        self.drop()

    def propose(self) -> None:
        if self.image.alterations.exists():
            raise LookupError  # The model knows one at a time.
        alterations.propose_alteration(self.actor, self.image, self.spec())

    def alter(self) -> None:
        proposed = self.image.alterations.first()
        if proposed is None:
            raise LookupError
        alterations.alter_image(self.actor, proposed)

    def remove(self) -> None:
        removal.remove_image(self.actor, NAME)
        self.drop()

    def restore(self) -> None:
        removal.restore_image(self.actor, NAME)

    def delete(self) -> None:
        removal.delete_image(self.actor, NAME)

    # --- the platform --------------------------------------------------------------------------------------

    def make_repository(self) -> None:
        with self.aws.identity("registry-server"):
            repositories.prepare_repository(self.image.pk)

    def claim(self) -> None:
        active = self.image.builds.active().first()
        if active is None:
            raise LookupError
        claimed = build_job.claim(active.pk)
        if claimed is not None:
            self.held = claimed

    def worker(self) -> Build:
        if self.held is None:
            raise LookupError
        return self.held

    def succeed(self) -> None:
        if self.image.repository_ready_at is None:
            raise LookupError  # It gives the build back, which is `hand_over`.
        self.worker().write(lock="a lock")
        build_outcome.succeed(self.worker(), PRODUCT, Journal(self.worker()))
        self.held = None

    def let_go(self) -> None:
        for former in self.former:
            build_outcome.let_go(former)

    def claim_alteration(self) -> None:
        proposed = self.image.alterations.first()
        if proposed is None:
            raise LookupError
        self.resolving = alteration_job.claim(proposed.pk) or self.resolving

    def resolver(self) -> Alteration:
        if self.resolving is None:
            raise LookupError
        return self.resolving

    def resolve(self) -> None:
        self.resolver().succeed(lock="a lock")
        self.resolving = None

    def upgrade(self) -> None:
        upgrades.dispatch()

    def delete_repository(self) -> None:
        with self.aws.identity("registry-server"):
            repositories.delete_repository(self.image.pk)

    # --- what goes wrong -----------------------------------------------------------------------------------

    def fail(self) -> None:
        build_outcome.fail(
            self.worker(), ResolutionFailed("There is no such library."), Journal(self.worker())
        )
        self.held = None

    def repeat(self) -> None:
        build_outcome.repeat(self.worker(), RegistryUnavailable("Away."), timedelta(0))
        self.drop()

    def hand_over(self) -> None:
        self.worker().hand_over(counted=False)
        self.drop()

    def lose_worker(self) -> None:
        self.worker().write(lease_expires_at=timezone.now() - timedelta(seconds=1))
        self.drop()

    def lose_resolver(self) -> None:
        self.resolver().write(lease_expires_at=timezone.now() - timedelta(seconds=1))
        self.resolving = None

    def move_base(self) -> None:
        if self.image_or_none() is not None and self.image.alterations.exists():
            raise LookupError
        with transaction.atomic():
            BaseImage.objects.update(is_current=False)
            self.base = factories.make_base_image()
            upgrades.mark_outdated(self.base)

    def drop(self) -> None:
        """The worker is no worker of this build any more, which it does not know yet."""
        if self.held is not None:
            self.former.append(self.held)
        self.held = None

    # --- what is there -------------------------------------------------------------------------------------

    def image_or_none(self) -> ManagedImage | None:
        return ManagedImage.objects.filter(name=NAME).first()

    def state(self) -> State:
        """The rows in the words of the model."""
        image = self.image_or_none()
        if image is None:
            return State()
        active = image.builds.active().first()
        proposed = image.alterations.first()
        revisions = image.builds.revisions().select_related("base_image")[:REVISIONS]
        now = timezone.now()
        return State(
            row=row_of(image),
            repository=image.repository_ready_at is not None,
            status=image.status if image.removed_at is None else "",
            revisions=tuple(build.base_image.is_current for build in revisions)[::-1],
            build=work_of(active),
            fresh=bool(active and active.base_image.is_current),
            lingering=image.builds.filter(
                state=WorkState.CANCELLED, lease_expires_at__gt=now
            ).exists(),
            alteration=work_of(proposed),
        )


def row_of(image: ManagedImage) -> Row:
    if image.removed_at is None:
        return Row.THERE
    return Row.REMOVED if image.is_restorable else Row.DELETING


def work_of(work: Build | Alteration | None) -> Work:
    if work is None:
        return Work.NONE
    if work.state == WorkState.QUEUED:
        return Work.QUEUED
    if work.state == WorkState.RUNNING and work.lease_expires_at is not None:
        return Work.HELD if work.lease_expires_at > timezone.now() else Work.ORPHANED
    return Work.RESOLVED if work.state == WorkState.SUCCEEDED else Work.NONE


class Lives(RuleBasedStateMachine):
    """Events in an order that hypothesis chooses, in the model and in the real thing."""

    make_real: Callable[[], Real]

    def __init__(self) -> None:
        super().__init__()
        self.real = type(self).make_real()
        self.model = State(moves=2)

    def happen(self, name: str) -> None:
        after = EVENTS[name](self.model)
        if name == "move_base" and not self.model.moves:
            return
        if name == "claim" and after is not None and self.model.build is Work.ORPHANED:
            self.real.drop()
        try:
            getattr(self.real, name)()
        except (DomainError, LookupError, LeaseLost):
            assert after is None, f"{name} was refused in {self.model}"
        self.model = after or self.model
        # How often bases move is the model's own affair.
        found = replace(self.real.state(), moves=self.model.moves)
        assert found == self.model, f"after {name}"
        assert not broken_invariants(found)
        assert_counts_are_true()

    @rule(name=st.sampled_from(sorted(EVENTS)))
    def anything(self, name: str) -> None:
        self.happen(name)

    @rule(data=st.data())
    def something_possible(self, data: st.DataObject) -> None:
        """Most events are impossible in most states, so lives would not go on by any event."""
        possible = sorted(name for name, event in EVENTS.items() if event(self.model) is not None)
        if possible:
            self.happen(data.draw(st.sampled_from(possible)))

    @rule()
    def who_lost_its_work_writes_nothing(self) -> None:
        before = self.real.state()
        for former in self.real.former:
            for write in (
                lambda former=former: build_outcome.succeed(former, PRODUCT, Journal(former)),
                lambda former=former: build_outcome.fail(
                    former, ResolutionFailed("Late."), Journal(former)
                ),
                lambda former=former: former.renew(30),
                lambda former=former: former.hand_over(counted=True),
            ):
                with suppress(ManagedImage.DoesNotExist), pytest.raises(LeaseLost):
                    write()
        assert self.real.state() == before

    def teardown(self) -> None:
        self.real.end()


def test_the_operations_do_what_the_model_says(
    cast: Cast, registry: LocalAWS, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A young build does not wait for its repository; here none grows old.
    monkeypatch.setattr(build_models, "MADE_WITHIN", timedelta(days=1))
    settings.REMOVAL_GRACE = timedelta(hours=1)
    settings.MAX_WAITING_BUILDS = 10_000

    class Machine(Lives):
        make_real = staticmethod(lambda: Real(cast, registry))

    run_state_machine_as_test(Machine, settings=LIMITS)


LIMITS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[*HealthCheck],
    # A failure is told with its steps; making them fewer takes minutes with real rows.
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
