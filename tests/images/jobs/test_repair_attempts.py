"""When a repair is tried, and tried again: what passes never ends it, and people's builds go first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from images import tasks, wake
from images.building.containers import container
from images.errors import (
    BuildError,
    BuildTimedOut,
    CannotBeMadeAgain,
    OSPackagesUnavailable,
    RepositoryMissing,
    SourceBuildsUnavailable,
    TagTaken,
)
from images.jobs import build, repair, repositories, sweep
from images.jobs.quiet_journal import QuietJournal
from images.models import BaseImage, Build, Drift, FindingCode, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import drift as drifts
from images.registry import connection
from ri_platform.errors import DomainError
from tests import factories

Sent = list[tuple[wake.Task, int]]


@pytest.fixture
def lost(base: BaseImage, sent: Sent) -> Drift:
    return drifted(factories.make_image("lost", base=base))


def drifted(image: ManagedImage, code: FindingCode = FindingCode.BLOB_MISSING) -> Drift:
    assert image.current_build is not None
    drift = drifts.record_drift(image.current_build, [code], ["It is gone."])
    assert drift is not None
    return drift


def claim(drift: Drift) -> Drift:
    claimed = Drift.objects.claim(drift.pk, 60)
    assert claimed is not None
    return claimed


def make_due() -> None:
    Drift.objects.update(due_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "error",
    [
        OSPackagesUnavailable("This machine has no sandbox."),
        SourceBuildsUnavailable("This machine has no sandbox."),
        BuildTimedOut("It took too long."),
        BuildError("apt-get update: Temporary failure resolving deb.debian.org."),
    ],
)
def test_what_may_pass_is_tried_again(lost: Drift, error: DomainError) -> None:
    repair.end(claim(lost), error, QuietJournal())
    lost.refresh_from_db()
    assert (lost.state, lost.error_message) == (WorkState.QUEUED, error.message)
    assert lost.due_at > timezone.now()


@pytest.mark.parametrize("error", [CannotBeMadeAgain("Another."), TagTaken("Taken.")])
def test_what_no_time_heals_is_given_up(lost: Drift, error: DomainError) -> None:
    repair.end(claim(lost), error, QuietJournal())
    lost.refresh_from_db()
    assert lost.state == WorkState.FAILED


def test_a_fault_of_the_worker_is_no_end(lost: Drift, settings: Any, tmp_path: Path) -> None:
    # No folder can be made there, as on a disk that is full.
    settings.CACHE_DIR = tmp_path / "file"
    settings.CACHE_DIR.touch()
    Drift.objects.update(repository_made=True)
    repair.push_again(lost.pk)
    lost.refresh_from_db()
    assert (lost.state, lost.attempts) == (WorkState.QUEUED, 1)
    assert "platform's side" in lost.error_message


def test_a_machine_leaves_a_repair_that_takes_a_sandbox_to_another(
    lost: Drift, monkeypatch: pytest.MonkeyPatch, sent: Sent
) -> None:
    repair.end(claim(lost), OSPackagesUnavailable("There is none."), QuietJournal())
    Drift.objects.update(repository_made=True)
    make_due()
    monkeypatch.setattr(container, "problem", lambda: "There is none.")
    repair.push_again(lost.pk)
    lost.refresh_from_db()
    assert (lost.state, lost.attempts) == (WorkState.QUEUED, 1)
    # Meanwhile it keeps no other repair from its turn.
    assert lost.due_at > timezone.now() + timedelta(seconds=30)


def test_a_repair_that_kills_its_workers_waits_and_says_so(
    lost: Drift, sent: Sent, settings: Any
) -> None:
    Drift.objects.update(repository_made=True)
    for _ in range(settings.BUILD_MAX_ATTEMPTS):
        claim(lost)
        Drift.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    repair.push_again(lost.pk)
    lost.refresh_from_db()
    assert (lost.state, lost.error_code) == (WorkState.QUEUED, "worker_died")
    assert lost.due_at > timezone.now()


def test_a_message_that_comes_late_does_not_end_a_pause(
    lost: Drift, sent: Sent, django_capture_on_commit_callbacks: Any
) -> None:
    for _ in range(4):
        repair.end(claim(lost), BuildError("No."), QuietJournal())
    sent.clear()
    repair.restore_repository(lost.pk)
    repair.push_again(lost.pk)
    lost.refresh_from_db()
    assert (lost.attempts, sent) == (4, [])


def test_only_a_repository_that_is_gone_is_made(
    lost: Drift, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(connection, "control", lambda: None)
    monkeypatch.setattr(
        repair, "make_repository", lambda control, repository, ours: made.append(repository)
    )
    repair.restore_repository(lost.pk)
    assert made == []
    assert sent[-1] == (wake.Task.PUSH_AGAIN, lost.pk)
    # It goes while the blob is on its way.
    repair.end(claim(lost), RepositoryMissing("It is gone."), QuietJournal())
    make_due()
    repair.restore_repository(lost.pk)
    assert made == ["rime-managed-images/lost"]


@pytest.fixture
def many(base: BaseImage, sent: Sent) -> list[Drift]:
    names = [f"lost-{number:02}" for number in range(2 * wake.ENOUGH)]
    return [drifted(image) for image in factories.make_images(names, base=base)]


def test_few_messages_of_many_repairs_are_on_their_way(many: list[Drift], sent: Sent) -> None:
    make_due()
    for _ in range(3):
        sweep.sweep()
    assert len({pk for _, pk in sent}) == len(sent) == wake.ENOUGH
    # Those that were lost are sent again, before any other.
    first = set(sent)
    make_due()
    sweep.sweep()
    assert set(sent) == first


def test_a_look_that_finds_many_sends_few_messages(
    base: BaseImage, sent: Sent, django_capture_on_commit_callbacks: Any
) -> None:
    names = [f"lost-{number:02}" for number in range(2 * wake.ENOUGH)]
    with django_capture_on_commit_callbacks(execute=True):
        for image in factories.make_images(names, base=base):
            drifted(image)
    assert len(sent) == wake.ENOUGH


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a worker did: builds by the names of their images, repairs as such."""
    names: list[str] = []

    def end_build(work: Build) -> None:
        names.append(work.image.name)
        work.write(state=WorkState.CANCELLED, lease_expires_at=None)

    def end_repair(drift: Drift, *_: object) -> None:
        names.append(f"repair of {drift.name}")
        drifts.record_healed(drift)

    monkeypatch.setattr(build, "run_claimed", end_build)
    monkeypatch.setattr(repair, "attempt", end_repair)
    # Nothing is built, so a machine without sandboxes does.
    monkeypatch.setattr(container, "confinement_problem", str)
    factories.make_instance()
    return names


@pytest.mark.parametrize(
    ("lane", "task"), [("builds", "push_again"), ("sources", "push_source_image_again")]
)
def test_a_build_that_waits_goes_first(
    base: BaseImage, lost: Drift, done: list[str], sent: Sent, lane: str, task: str
) -> None:
    image = factories.make_image("new", base=base, status=Status.BUILDING_FIRST_TIME)
    ManagedImage.objects.filter(pk=image.pk).update(repository_ready_at=timezone.now())
    if lane == "sources":
        asked = image.builds.get()
        asked.spec = replace(asked.spec, allow_source=True)
        asked.save()
    Drift.objects.update(repository_made=True)
    getattr(tasks, task)(lost.pk)
    assert done == ["new", "repair of lost"]


def test_a_repair_that_ends_wakes_the_next(many: list[Drift], done: list[str], sent: Sent) -> None:
    make_due()
    sweep.sweep()
    Drift.objects.update(repository_made=True)
    sent.clear()
    tasks.push_again(many[0].pk)
    assert sent == [(wake.Task.PUSH_AGAIN, many[wake.ENOUGH].pk)]


def test_a_new_image_waits_for_no_repair(
    base: BaseImage, lost: Drift, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.make_instance()
    made: list[str] = []
    monkeypatch.setattr(connection, "control", lambda: None)
    monkeypatch.setattr(
        repositories, "make_repository", lambda control, repository, ours=False: made.append("new")
    )
    image = factories.make_image("new", base=base, status=Status.BUILDING_FIRST_TIME)
    ManagedImage.objects.filter(pk=image.pk).update(repository_ready_at=None)
    tasks.restore_repository(lost.pk)
    assert made == ["new"]


def test_a_drift_of_what_is_no_longer_promised_is_over(
    base: BaseImage, lost: Drift, sent: Sent
) -> None:
    assert lost.build is not None
    image = lost.build.image
    image.current_build = factories.make_build(image, base, Status.READY, number=2)
    image.save()
    repair.restore_repository(lost.pk)
    lost.refresh_from_db()
    assert lost.state == WorkState.CANCELLED
