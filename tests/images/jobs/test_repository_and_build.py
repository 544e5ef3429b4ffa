"""A new image is resolved while its repository is made; what is late or fails leaves nothing hanging."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from images import wake
from images.errors import RegistryError, RegistryUnavailable
from images.jobs import build as run
from images.jobs import repositories
from images.jobs.journal import Journal
from images.jobs.repositories import RepositoryNotThere
from images.models import BaseImage, Build, ManagedImage, Status
from images.models.lease import LeaseLost, WorkState
from images.operations.images import create_image
from images.spec import ImageSpec
from tests.cast import Cast
from workspaces.access import Actor

Sent = list[tuple[str, int]]


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    return create_image(Actor(cast.member), "fresh", ImageSpec("all", "3.11"))


def is_startable(image: ManagedImage) -> bool:
    return Build.objects.startable().filter(image=image).exists()


@pytest.mark.django_db
def test_both_workers_are_woken_by_a_new_image(
    cast: Cast, base: BaseImage, sent: Sent, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        image = create_image(Actor(cast.member), "fresh", ImageSpec("all", "3.11"))
    assert sent == [
        (wake.Task.PREPARE_REPOSITORY, image.pk),
        (wake.Task.RUN_BUILD, image.builds.get().pk),
    ]


@pytest.mark.django_db
def test_a_build_begins_before_its_repository_is_there_unless_that_is_late_or_refused(
    image: ManagedImage,
) -> None:
    assert is_startable(image)
    Build.objects.update(created_at=timezone.now() - timedelta(seconds=11))
    assert not is_startable(image)
    Build.objects.update(created_at=timezone.now())
    repositories.record_repository_failure(image, RegistryUnavailable("AWS is away."))
    assert not is_startable(image)
    ManagedImage.objects.update(repository_ready_at=timezone.now(), repository_error="")
    assert is_startable(image)


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_worker_that_has_resolved_waits_for_the_repository(image: ManagedImage) -> None:
    def make() -> None:
        time.sleep(0.2)
        ManagedImage.objects.update(repository_ready_at=timezone.now())
        connection.close()

    maker = threading.Thread(target=make)
    maker.start()
    repositories.wait_for(image, lambda: None)
    maker.join()


@pytest.mark.django_db
def test_it_does_not_wait_for_long(image: ManagedImage, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        repositories.wait_for(image, lost)
    monkeypatch.setattr(repositories, "WAITED_FOR", 0.05)
    with pytest.raises(RepositoryNotThere):
        repositories.wait_for(image, lambda: None)
    ManagedImage.objects.update(repository_error="AWS is away.")
    with pytest.raises(RepositoryNotThere):
        repositories.wait_for(image, lost)


@pytest.mark.django_db
def test_a_build_without_a_repository_goes_back_with_its_lock(
    image: ManagedImage, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(build: Build, *_: Any) -> None:
        build.write(lock="resolved")
        raise RepositoryNotThere

    monkeypatch.setattr(run, "make", make)
    claimed = Build.objects.claim(image.builds.get().pk, 60)
    assert claimed is not None
    run.attempt(claimed, Journal(claimed), None)  # type: ignore[arg-type]
    build = image.builds.get()
    assert (build.state, build.attempts, build.lock) == (WorkState.QUEUED, 0, "resolved")
    assert build.lease_expires_at is None
    assert not sent
    # Made just as it was given back: the registry worker has found it taken and sent nothing.
    ManagedImage.objects.update(repository_ready_at=timezone.now())
    claimed = Build.objects.claim(build.pk, 60)
    assert claimed is not None
    run.attempt(claimed, Journal(claimed), None)  # type: ignore[arg-type]
    assert sent == [(wake.Task.RUN_BUILD, build.pk)]


@pytest.mark.django_db
def test_what_aws_refuses_for_good_ends_the_build_under_its_worker(image: ManagedImage) -> None:
    held = Build.objects.claim(image.builds.get().pk, 60)
    assert held is not None
    repositories.record_repository_failure(image, RegistryError("It is somebody else's."))
    with pytest.raises(LeaseLost):
        held.write(lock="x")
    image.refresh_from_db()
    assert (image.status, image.builds.get().state) == (Status.FAILED, WorkState.FAILED)
