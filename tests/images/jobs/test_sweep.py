"""What is due is sent again, and nothing else: a lost message loses no work."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.beat import ScheduleEntry
from django.conf import settings
from django.utils import timezone

from images import wake
from images.jobs import sweep
from images.models import BaseImage, Build, ManagedImage, Status
from images.models.lease import WAKE_INTERVAL, WorkState
from images.operations import removal
from images.operations.images import create_image
from images.spec import ImageSpec
from ri_platform.beat import Scheduler
from ri_platform.celery import app
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor

Sent = list[tuple[str, int]]


def later() -> Any:
    return timezone.now() - WAKE_INTERVAL


@pytest.mark.slow
def test_a_request_whose_message_was_lost_is_found(cast: Cast, base: BaseImage, sent: Sent) -> None:
    image = create_image(Actor(cast.member), "lost", ImageSpec("all", "3.11"))
    sweep.sweep()
    assert sent == []  # Its own message has just been sent.
    ManagedImage.objects.update(repository_due_at=later())
    sweep.sweep()
    sweep.sweep()
    assert sent == [(wake.Task.PREPARE_REPOSITORY, image.pk)]


def test_a_repository_whose_message_was_lost_is_made_though_the_builds_worker_died(
    cast: Cast, base: BaseImage, sent: Sent
) -> None:
    """It had begun to resolve, so the build is no queued one; without a repository nobody goes on with it."""
    image = create_image(Actor(cast.member), "lost", ImageSpec("all", "3.11"))
    Build.objects.claim(image.builds.get().pk, seconds=60)
    Build.objects.update(lease_expires_at=later(), created_at=later(), due_at=later())
    ManagedImage.objects.update(repository_due_at=later())
    sweep.sweep()
    assert sent == [(wake.Task.PREPARE_REPOSITORY, image.pk)]


@pytest.mark.slow
def test_a_build_whose_worker_died_is_found(base: BaseImage, sent: Sent) -> None:
    image = factories.make_image("dying", base=base, status=Status.BUILDING_FIRST_TIME)
    Build.objects.claim(image.builds.get().pk, seconds=60)
    Build.objects.update(due_at=later())
    sweep.sweep()
    assert sent == []
    Build.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweep.sweep()
    assert sent == [(wake.Task.RUN_BUILD, image.builds.get().pk)]


@pytest.mark.django_db(transaction=True)
def test_the_scheduler_sweeps_by_itself(base: BaseImage, sent: Sent, tmp_path: Path) -> None:
    """While every worker is busy or hangs, what is due is found all the same: nothing is asked of them."""
    app.loader.import_default_modules()
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "beat"), lazy=True)
    image = factories.make_image("lost", base=base, status=Status.BUILDING_FIRST_TIME)
    Build.objects.update(due_at=later())
    entry = ScheduleEntry("sweep", app=app, **settings.CELERY_BEAT_SCHEDULE["sweep"])
    scheduler.apply_entry(entry)
    assert sent == [(wake.Task.RUN_BUILD, image.builds.get().pk)]


@pytest.mark.slow
def test_a_removal_that_aws_refused_is_tried_again(cast: Cast, base: BaseImage, sent: Sent) -> None:
    image = factories.make_image("going", base=base)
    removal.remove_image(Actor(cast.admin), "going")
    ManagedImage.objects.update(repository_due_at=later(), deletion_due_at=later())
    sweep.sweep()
    assert sent == [(wake.Task.DELETE_REPOSITORY, image.pk)]


def test_a_thousand_removals_stand_before_no_other_work(base: BaseImage, sent: Sent) -> None:
    """The queue is first come, first served: only a few are in it at once."""
    for number in range(wake.ENOUGH + 5):
        factories.make_image(f"going-{number}", base=base)
    ManagedImage.objects.update(
        removed_at=later(), deletion_due_at=later(), repository_due_at=later()
    )
    sweep.sweep()
    assert len(sent) == wake.ENOUGH
    sweep.sweep()
    assert len(sent) == len({pk for _, pk in sent}) == wake.ENOUGH + 5


def test_a_base_image_on_its_way_is_sent_again(sent: Sent, db: None) -> None:
    base = factories.make_base_image(state=WorkState.QUEUED, due_at=later())
    sweep.sweep()
    assert sent == [(wake.Task.PREPARE_BASE_REPOSITORY, base.pk)]


@pytest.mark.slow
def test_settled_images_are_left_alone(base: BaseImage, sent: Sent) -> None:
    for status in (Status.READY, Status.FAILED, Status.OUTDATED):
        factories.make_image(f"is-{status.lower()}", base=base, status=status)
    ManagedImage.objects.update(repository_due_at=later(), repository_ready_at=None)
    Build.objects.update(due_at=later())
    sweep.sweep()
    assert sent == []


def test_turned_off_nothing_is_sent(base: BaseImage, sent: Sent, settings: Any) -> None:
    factories.make_image("waiting", base=base, status=Status.BUILDING_FIRST_TIME)
    Build.objects.update(due_at=later())
    settings.IMAGE_REGISTRY_ENABLED = False
    sweep.sweep()
    assert sent == []


def test_a_broker_that_is_down_loses_no_request(
    cast: Cast,
    base: BaseImage,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def down(task: str, pk: int) -> None:
        raise ConnectionError("the broker is down")

    monkeypatch.setattr(wake, "send", down)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        create_image(Actor(cast.member), "kept", ImageSpec("all", "3.11"))
    assert len(callbacks) == 1
    assert ManagedImage.objects.filter(name="kept").exists()
