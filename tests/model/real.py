"""The events of the model as the processes bring them about, and the rows in the words of the model."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from images.attestations import Library
from images.errors import RegistryUnavailable, ResolutionFailed
from images.jobs import alteration as alteration_job
from images.jobs import build as build_job
from images.jobs import build_outcome, repositories, upgrades
from images.jobs.build_outcome import Product
from images.jobs.journal import Journal
from images.models import Alteration, BaseImage, Build, ManagedImage
from images.models.lease import LeaseLost, WorkState
from images.operations import alterations, builds, images, removal
from images.requirements import PipRequirement
from images.spec import ImageSpec
from tests import factories
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.model.lifecycle import REVISIONS, Row, State, Work
from workspaces.access import Actor

NAME = "modelled"
PRODUCT = Product("sha256:" + "a" * 64, "sha256:" + "b" * 64, 1, 1, [Library("numpy", "2.0")], [])


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
        # What a worker held that was stopped past its lease, and that nobody has taken over.
        self.orphan: Build | None = None
        self.resolving: Alteration | None = None
        # What workers held whose work was taken over, given back or cancelled.
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
            self.drop()
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
        self.held, self.orphan = None, self.held

    def come_back(self) -> None:
        if self.orphan is None:
            raise LookupError
        self.orphan.renew(30)
        self.held, self.orphan = self.orphan, None

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
        self.former += [build for build in (self.held, self.orphan) if build is not None]
        self.held = self.orphan = None

    def write_as_former_workers(self) -> None:
        """Whoever lost its work must be refused all that it still tries."""
        for former in self.former:
            journal = Journal(former)
            for write in (
                partial(build_outcome.succeed, former, PRODUCT, journal),
                partial(build_outcome.fail, former, ResolutionFailed("Late."), journal),
                partial(former.renew, 30),
                partial(former.hand_over, counted=True),
            ):
                with suppress(ManagedImage.DoesNotExist), pytest.raises(LeaseLost):
                    write()

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
