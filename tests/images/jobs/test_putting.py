"""A worker that is paused while it puts a manifest: nothing of it reaches the next image of the same name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from images.jobs import adoption, attest, moving_tags, put_pace, repair, repositories
from images.jobs import build as run
from images.models import (
    Attestation,
    BaseImage,
    Build,
    Drift,
    ManagedImage,
    UnknownRepository,
    Wish,
)
from images.models.lease import WorkState
from images.operations import removal
from images.registry.distribution.client import RegistryClient
from images.registry.ecr.repositories import RepositoryControl
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.images.verification import pushed
from tests.local_aws import LocalAWS
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

NAME = "again"
REPOSITORY = f"{pushed.PREFIX}/{NAME}"
# What puts a manifest into an image's repository, and a tag of each.
WRITERS = {
    "build": "build-1",
    "attestation": "build-1-sbom",
    "repair": "build-1",
    "attestation of a repair": "build-1-sbom",
    "moving tag": "latest",
}


def by_another_process(work: Callable[[], object]) -> None:
    """Do it over a database connection of its own, as another process does."""

    def whole() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=whole)
    thread.start()
    thread.join()


def waiting(cast: Cast, aws: LocalAWS, writer: str) -> Callable[[], object]:
    """An image with work of this kind that waits; gives what does it."""
    image = ask(cast, NAME, "pyjokes==0.6.0")
    if writer == "build":
        with aws.identity("registry-server"):
            repositories.prepare_repository(image.pk)
        return partial(run.run, image.builds.get().pk)
    image = build_now(aws, image)
    assert image.current_build is not None, image.builds.get().error_message
    match writer:
        case "attestation":
            with aws.client() as client:
                forget_tags(aws, client, "build-1-sbom", "build-1-provenance")
            Attestation.objects.update(state=WorkState.QUEUED, finished_at=None)
            return partial(attest.write, Attestation.objects.get().pk)
        case "moving tag":
            return partial(moving_tags.move_tags, image.pk)
    tags = ["build-1"] if writer == "repair" else ["build-1-sbom", "build-1-provenance"]
    with aws.client() as client:
        forget_tags(aws, client, *tags)
    drift = Drift.objects.create(
        build=image.current_build, codes=["tag_missing"], said=[], repository_made=True
    )
    return partial(repair.push_again, drift.pk)


def forget_tags(aws: LocalAWS, client: RegistryClient, *tags: str) -> None:
    ids = [{"imageTag": tag} for tag in tags]
    aws.root.batch_delete_image(repositoryName=REPOSITORY, imageIds=ids)
    assert all(client.head_manifest(REPOSITORY, tag) is None for tag in tags)


def remove_for_good(cast: Cast) -> None:
    """Remove the image; whoever works on it is taken for dead by now."""
    removal.remove_image(Actor(cast.admin), NAME, typed_name=NAME)
    over = timezone.now() - timedelta(seconds=1)
    for model in (Build, Attestation, Drift):
        model.objects.filter(lease_expires_at__isnull=False).update(lease_expires_at=over)


def delete_repository(aws: LocalAWS) -> None:
    with aws.identity("registry-server"):
        repositories.delete_repository(ManagedImage.objects.get(name=NAME).pk)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_repository_stays_while_a_manifest_is_on_its_way(
    writer: str,
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = waiting(cast, registry, writer)
    put, there = RegistryClient.put_manifest, []

    def slowly(client: RegistryClient, repository: str, tag: str, *rest: Any) -> str:
        if (repository, tag) == (REPOSITORY, WRITERS[writer]):

            def meanwhile() -> None:
                remove_for_good(cast)
                delete_repository(registry)
                there.append(ManagedImage.objects.filter(name=NAME).exists())

            by_another_process(meanwhile)
        return put(client, repository, tag, *rest)

    monkeypatch.setattr(RegistryClient, "put_manifest", slowly)
    with registry.identity("build-jobs"):
        work()
    assert there == [True]
    delete_repository(registry)
    assert not ManagedImage.objects.filter(name=NAME).exists()


@pytest.mark.parametrize("writer", WRITERS)
def test_a_worker_that_goes_on_after_a_pause_puts_nothing(
    writer: str,
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By then the name is another image's, whose repository is empty."""
    work = waiting(cast, registry, writer)
    take, paused = put_pace.take, []

    def pause() -> None:
        remove_for_good(cast)
        delete_repository(registry)
        image = ask(cast, NAME, "pyjokes==0.8.3")
        with registry.identity("registry-server"):
            repositories.prepare_repository(image.pk)
        paused.append(image)

    def after_a_pause(*arguments: Any, **options: Any) -> None:
        take(*arguments, **options)
        if not paused:
            by_another_process(pause)

    monkeypatch.setattr(put_pace, "take", after_a_pause)
    with registry.identity("build-jobs"):
        work()
    assert len(paused) == 1
    assert registry.control("registry-server").list_images(REPOSITORY) == []
    assert build_now(registry, ManagedImage.objects.get(name=NAME)).status == "READY"


def test_a_paused_worker_deletes_no_repository_that_is_somebodys_by_now(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker that takes over leaves a repository of no record to it."""
    registry.control("registry-server").create_repository(REPOSITORY, ours=True)
    row = UnknownRepository.objects.create(name=NAME, wish=Wish.DELETE, wished_by=cast.admin)
    delete, asked = RepositoryControl.delete_repository, []

    def slowly(control: RepositoryControl, repository: str) -> bool:
        asked.append(repository)
        if len(asked) == 1:
            over = timezone.now() - timedelta(seconds=1)
            UnknownRepository.objects.update(lease_expires_at=over)
            by_another_process(lambda: adoption.delete(row.pk))
        return delete(control, repository)

    monkeypatch.setattr(RepositoryControl, "delete_repository", slowly)
    with registry.identity("registry-server"):
        adoption.delete(row.pk)
    assert asked == [REPOSITORY]
    row.refresh_from_db()
    assert (row.state, row.wish) == (WorkState.QUEUED, Wish.DELETE)
    assert "Another worker is still deleting" in row.error_message
