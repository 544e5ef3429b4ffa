"""SBOM and provenance follow a ready image, whatever happens to the worker that writes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from images import wake
from images.errors import RegistryUnavailable
from images.jobs import attest, build_outcome, repositories, sweep
from images.jobs import build as run
from images.jobs.journal import Journal
from images.models import Attestation, BaseImage, Build, BuildReason, ManagedImage, Status
from images.models.lease import WorkState
from images.registry import connection
from tests import factories
from tests.builds import ask
from tests.cast import Cast
from tests.local_aws import LocalAWS


def ready(base: BaseImage, name: str, reason: BuildReason = BuildReason.CREATE) -> Attestation:
    """The attestation of an image that a worker has just made ready."""
    image = factories.make_image(name, base=base, status=Status.BUILDING_FIRST_TIME)
    image.builds.update(reason=reason)
    build = Build.objects.claim(image.builds.get().pk, 60)
    assert build is not None
    build.write(lock=factories.lock_of(numpy="2.4.6"))
    digest = factories.digest(name)
    product = build_outcome.Product(digest, digest, 1, 1, [], [])
    build_outcome.succeed(build, product, Journal(build))
    return build.attestation


def make_due(attestation: Attestation) -> None:
    Attestation.objects.filter(pk=attestation.pk).update(due_at=timezone.now() - timedelta(1))


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_an_image_is_ready_before_its_sbom_is_written(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    image = ask(cast, "first-ready", "pyjokes==0.6.0")
    with registry.identity("registry-server"):
        repositories.prepare_repository(image.pk)
    tags = ("build-1-sbom", "build-1-provenance")
    with registry.identity("build-jobs"), connection.registry_client() as client:
        repository = "rime-managed-images/first-ready"
        run.run(image.builds.get().pk)
        image.refresh_from_db()
        assert image.status == Status.READY
        assert [client.head_manifest(repository, tag) for tag in tags] == [None, None]
        build = image.builds.get()
        pushed = build.pushed_bytes
        attest.write(build.attestation.pk)
        assert all(client.head_manifest(repository, tag) for tag in tags)
    build.refresh_from_db()
    assert build.attestation.state == WorkState.SUCCEEDED
    assert build.pushed_bytes > pushed


@pytest.mark.slow
def test_whoever_looks_meanwhile_is_told(cast: Cast, base: BaseImage) -> None:
    attestation = ready(base, "looked-at")
    url = reverse("image", kwargs={"workspace_id": cast.workspace.pk, "name": "looked-at"})
    page = cast.client(cast.viewer).get(url).content.decode()
    assert "They are being written to the registry." in page
    Attestation.objects.filter(pk=attestation.pk).update(state=WorkState.SUCCEEDED)
    assert "being written to the registry" not in cast.client(cast.viewer).get(url).content.decode()


@pytest.mark.slow
def test_what_a_dead_worker_left_is_written_by_another(
    base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(wake, "send", lambda task, pk: sent.append((task.function, pk)))
    attestation = ready(base, "left")
    assert Attestation.objects.claim(attestation.pk, 60)
    make_due(attestation)
    sweep.sweep()
    assert ("write_attestation", attestation.pk) not in sent
    ended = timezone.now() - timedelta(seconds=1)
    Attestation.objects.filter(pk=attestation.pk).update(lease_expires_at=ended)
    sweep.sweep()
    assert ("write_attestation", attestation.pk) in sent
    monkeypatch.setattr(attest, "push_attestations", lambda build, check, confirm: 7)
    attest.write(attestation.pk)
    attestation.refresh_from_db()
    assert (attestation.state, attestation.attempts) == (WorkState.SUCCEEDED, 2)


@pytest.mark.slow
def test_a_registry_that_is_down_is_tried_again_with_growing_pauses(
    cast: Cast, base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise RegistryUnavailable("The registry is down.", hint="Wait.")

    monkeypatch.setattr(attest, "push_attestations", refuse)
    attestation = ready(base, "down")
    pauses = []
    for _ in range(3):
        attest.write(attestation.pk)
        attestation.refresh_from_db()
        assert attestation.state == WorkState.QUEUED
        pauses.append((attestation.due_at - timezone.now()).total_seconds())
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0]
    url = reverse("image", kwargs={"workspace_id": cast.workspace.pk, "name": "down"})
    assert "The registry is down." in cast.client(cast.viewer).get(url).content.decode()


@pytest.mark.slow
def test_those_of_upgrades_wait_until_no_upgrade_is_under_way(base: BaseImage) -> None:
    mine, upgraded = ready(base, "mine"), ready(base, "upgraded", BuildReason.UPGRADE)
    for attestation in (mine, upgraded):
        make_due(attestation)
    other = factories.make_image("other", base=base, status=Status.REBUILDING)
    other.builds.update(reason=BuildReason.UPGRADE, state=WorkState.QUEUED)
    assert set(attest.due()) == {mine}
    other.builds.update(state=WorkState.CANCELLED)
    assert set(attest.due()) == {mine, upgraded}


def test_no_sbom_is_written_of_what_the_registry_lets_go(base: BaseImage, settings: Any) -> None:
    attestation = ready(base, "superseded")
    settings.KEEP_BUILDS = 1
    image = ManagedImage.objects.get(name="superseded")
    newer = Build.objects.create(
        image=image, number=2, base_image=base, spec=image.spec, state=WorkState.SUCCEEDED,
        lock="x", manifest_digest=factories.digest("newer"),
    )  # fmt: skip
    ManagedImage.objects.filter(pk=image.pk).update(current_build=newer)
    image.moving_tags.update(build=newer)
    attest.write(attestation.pk)
    attestation.refresh_from_db()
    assert attestation.state == WorkState.CANCELLED


def test_a_repository_is_not_deleted_while_one_is_written(base: BaseImage) -> None:
    attestation = ready(base, "going")
    image = ManagedImage.objects.get(name="going")
    assert not repositories.is_being_pushed_to(image)
    assert Attestation.objects.claim(attestation.pk, 60)
    assert repositories.is_being_pushed_to(image)
