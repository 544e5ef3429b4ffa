"""A worker that is paused, or whose host is gone, keeps its locks: the sweep and the other workers go on."""

from __future__ import annotations

import select
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from psycopg.pq import TransactionStatus

from images import tasks, wake
from images.jobs import moving_tags, repository_turns, sweep, turns
from images.jobs.leased import Holder, carry_out
from images.models import BaseImage, Build, ManagedImage, MovingTag, Status
from images.models.lane import Lane
from images.models.lease import WorkState
from ri_platform.errors import DomainError
from ri_platform.postgresql import sessions
from tests import factories
from tests.local_aws import LocalAWS

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

Sent = list[tuple[str, int]]


@pytest.fixture
def impatient(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process waits for a lock as a worker does, but for a shorter time."""
    monkeypatch.setattr(sessions, "limits", {**sessions.limits, "lock_timeout": "200ms"})
    connection.close()
    yield
    connection.close()


@pytest.fixture
def paused(transactional_db: None) -> Iterator[psycopg.Connection]:
    """The database session of a worker that does nothing any more."""
    with psycopg.connect(**connection.get_connection_params()) as link:
        yield link
        if not link.broken:
            link.rollback()


def over() -> None:
    """The worker's lease has run out, and its work is due."""
    ago = timezone.now() - timedelta(seconds=60)
    Build.objects.filter(state=WorkState.RUNNING).update(lease_expires_at=ago)
    Build.objects.update(due_at=ago)


def waiting(name: str, base: BaseImage) -> Build:
    image = factories.make_image(name, base=base, status=Status.BUILDING_FIRST_TIME)
    return image.builds.get()


def write_build(link: psycopg.Connection, build: Build) -> None:
    """Pause between the change of a build's row and its commit."""
    link.execute("UPDATE images_build SET phase = 'push' WHERE id = %s", [build.pk])


def hold(link: psycopg.Connection, kind: str, pk: int) -> None:
    """Pause while this lock of the session is held, outside of a transaction."""
    link.execute("SELECT pg_advisory_lock(hashtext(%s), %s)", [kind, pk])
    link.commit()


def test_the_sweep_goes_past_what_a_paused_worker_is_writing(
    base: BaseImage, paused: psycopg.Connection, sent: Sent
) -> None:
    held, free = waiting("held", base), waiting("free", base)
    assert Build.objects.claim(held.pk, 8) is not None
    over()
    write_build(paused, held)
    sweep.sweep()
    assert sent == [(wake.Task.RUN_BUILD, free.pk)]
    paused.rollback()
    sweep.sweep()
    assert sent[1:] == [(wake.Task.RUN_BUILD, held.pk)]


def test_the_sweep_begins_no_upgrade_where_a_paused_worker_is_at_it_and_goes_on(
    base: BaseImage, paused: psycopg.Connection, sent: Sent
) -> None:
    build = waiting("free", base)
    over()
    hold(paused, "upgrades", 0)
    sweep.sweep()
    assert sent == [(wake.Task.RUN_BUILD, build.pk)]


def test_the_sweep_ends_other_overdue_builds_than_one_whose_image_is_locked(
    base: BaseImage, paused: psycopg.Connection, sent: Sent
) -> None:
    held, free = waiting("held", base), waiting("free", base)
    Build.objects.update(created_at=timezone.now() - timedelta(days=2))
    paused.execute("SELECT 1 FROM images_managedimage WHERE name = 'held' FOR UPDATE")
    sweep.sweep()
    states = dict(Build.objects.values_list("pk", "state"))
    assert states == {held.pk: WorkState.QUEUED, free.pk: WorkState.FAILED}


def test_a_part_of_the_sweep_that_waits_for_a_lock_too_long_is_left_out(
    base: BaseImage, impatient: None, paused: psycopg.Connection, sent: Sent
) -> None:
    """What is deleted in the sweep may be locked, too."""
    build = waiting("free", base)
    over()
    paused.execute("LOCK TABLE images_importcheck IN ACCESS EXCLUSIVE MODE")
    sweep.sweep()
    assert sent == [(wake.Task.RUN_BUILD, build.pk)]


def test_a_lane_takes_other_work_than_what_a_paused_worker_is_writing(
    base: BaseImage, paused: psycopg.Connection
) -> None:
    held, free = waiting("held", base), waiting("free", base)
    assert Build.objects.claim(held.pk, 8) is not None
    over()
    write_build(paused, held)
    assert turns.claim_next(Lane.BUILDS) == free
    assert turns.claim_next(Lane.BUILDS) is None
    paused.rollback()
    assert turns.claim_next(Lane.BUILDS) == held


def test_a_lane_goes_on_once_postgresql_has_ended_a_worker_that_is_paused_at_its_turn(
    base: BaseImage, paused: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = waiting("free", base)
    ends = {"idle_in_transaction_session_timeout": "300ms"}
    monkeypatch.setattr(sessions, "limits", {**sessions.limits, **ends})
    sessions.limit(paused)
    paused.commit()
    paused.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"turn {Lane.BUILDS}"])
    assert paused.info.transaction_status == TransactionStatus.INTRANS
    assert turns.claim_next(Lane.BUILDS) == build
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        paused.execute("SELECT 1")


def test_a_task_that_waits_for_a_lock_too_long_leaves_its_work_for_later(
    base: BaseImage, impatient: None, paused: psycopg.Connection
) -> None:
    factories.make_instance()
    build = waiting("free", base)
    paused.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"turn {Lane.BUILDS}"])
    tasks.run_build(build.pk)
    build.refresh_from_db()
    assert (build.state, build.attempts) == (WorkState.QUEUED, 0)


@pytest.mark.parametrize("kind", ["image-repository", "base-repository", "base-inspection"])
def test_a_task_does_not_wait_for_a_session_that_holds_its_object(
    kind: str, base: BaseImage, impatient: None, paused: psycopg.Connection, sent: Sent
) -> None:
    factories.make_instance()
    image = factories.make_image("held", base=base)
    task, pk = {
        "image-repository": (tasks.tidy_repository, image.pk),
        "base-repository": (tasks.prepare_base_repository, base.pk),
        "base-inspection": (tasks.inspect_base_image, base.pk),
    }[kind]
    hold(paused, kind, pk)
    task(pk)
    assert sent == []


def test_work_that_waits_for_a_lock_too_long_goes_back_and_is_no_death(
    base: BaseImage, impatient: None, paused: psycopg.Connection
) -> None:
    build = Build.objects.claim(waiting("held", base).pk, 8)
    assert build is not None
    paused.execute("SELECT 1 FROM images_managedimage WHERE name = 'held' FOR UPDATE")

    def write(holder: Holder) -> None:
        ManagedImage.objects.filter(name="held").update(description="x")

    assert not carry_out(build, 8, write, fail=unreachable, broke=DomainError("It broke."))
    build.refresh_from_db()
    assert (build.state, build.deaths) == (WorkState.QUEUED, 0)


def test_a_worker_that_was_paused_in_a_transaction_gives_its_work_back(
    base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {"idle_in_transaction_session_timeout": "300ms"}
    monkeypatch.setattr(sessions, "limits", {**sessions.limits, **ends})
    build = Build.objects.claim(waiting("held", base).pk, 600)
    assert build is not None
    connection.close()

    def write(holder: Holder) -> None:
        with transaction.atomic():
            ManagedImage.objects.update(description="x")
            # Until PostgreSQL has closed it.
            select.select([connection.connection], [], [], 30)
            ManagedImage.objects.update(description="y")

    try:
        assert not carry_out(build, 600, write, fail=unreachable, broke=DomainError("It broke."))
    finally:
        monkeypatch.undo()
        connection.close()
    build.refresh_from_db()
    assert (build.state, ManagedImage.objects.get().description) == (WorkState.QUEUED, "")


def unreachable(error: DomainError) -> None:
    raise AssertionError(error)


def test_tags_are_moved_past_an_image_whose_worker_is_paused(
    base: BaseImage, registry: LocalAWS, paused: psycopg.Connection
) -> None:
    """The registry has neither image, so what was tried has an error."""
    held, free = (factories.make_image(name, base=base) for name in ("held", "free"))
    for image in (held, free):
        assert image.current_build is not None
        MovingTag.objects.create(image=image, name="latest", build=image.current_build)
    ManagedImage.objects.update(tags_may_move=True)
    hold(paused, "moving-tags", held.pk)
    with registry.identity("build-jobs"):
        moving_tags.move_next()
    tried = {tag.image.name: bool(tag.error) for tag in MovingTag.objects.select_related("image")}
    assert tried == {"held": False, "free": True}


def test_images_get_repositories_while_a_worker_is_paused_that_makes_one_of_a_base_image(
    registry: LocalAWS, paused: psycopg.Connection, sent: Sent
) -> None:
    base = factories.make_base_image()
    held = factories.make_base_image(state=WorkState.QUEUED, repository_ready_at=None)
    build = waiting("free", base)
    ManagedImage.objects.update(repository_ready_at=None)
    hold(paused, "base-repository", held.pk)
    with registry.identity("registry-server"):
        repository_turns.take(build.image_id)
    assert ManagedImage.objects.get().repository_ready_at is not None
