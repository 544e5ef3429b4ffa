"""What the registry loses of an image is found, told and pushed again with the same digest, unasked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from images.jobs import repair, repositories, sweep, verification
from images.models import (
    BaseImage,
    Build,
    Delivery,
    Drift,
    KeptManifest,
    ManagedImage,
    MovingTag,
    Verification,
    Webhook,
)
from images.models.drift import keep_manifest
from images.models.lease import WorkState
from images.operations import removal
from images.registry.distribution.descriptors import Descriptor
from images.registry.naming import base_repository, effective_prefix
from tests.builds import ask, build_now, pulled_by_ourselves
from tests.cast import Cast
from tests.images.verification import pushed
from tests.images.verification.workers import Workers
from tests.local_aws import LocalAWS
from tests.permissions import without
from workspaces.access import Actor
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

REPOSITORY = f"{pushed.PREFIX}/lost"


@pytest.fixture
def workers(registry: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Workers:
    return Workers(registry, monkeypatch)


@pytest.fixture
def image(cast: Cast, debian: BaseImage, registry: LocalAWS, workers: Workers) -> ManagedImage:
    # A verification finds what other tests have left.
    registry.delete_base_images(but=base_repository(effective_prefix(), "all", "3.11"))
    Webhook.objects.create(url="https://hook.example/", events=["image.drifted", "image.healed"])
    image = build_now(registry, ask(cast, "lost", "pyjokes==0.6.0"))
    assert image.current_build is not None, image.builds.get().error_message
    return image


def lose_repository(aws: LocalAWS) -> None:
    aws.control("registry-server").delete_repository(REPOSITORY)


def events() -> list[str]:
    found = AuditEvent.objects.filter(object_name="lost", event__contains="image.").order_by("pk")
    return [event for event in found.values_list("event", flat=True) if event != "image.created"]


def test_a_repository_that_is_gone_is_made_and_filled_again(
    image: ManagedImage, registry: LocalAWS, workers: Workers, tmp_path: Path
) -> None:
    assert workers.verify() == []
    lose_repository(registry)
    assert workers.verify() == ["repository_missing"]
    drift = Drift.objects.get()
    assert drift.state == WorkState.SUCCEEDED, drift.error_message
    assert workers.verify() == []
    assert pulled_by_ourselves(registry, image, tmp_path)
    assert events() == ["image.drifted", "image.healed"]
    sent = list(Delivery.objects.order_by("pk").values_list("payload__type", flat=True))
    assert sent == ["image.drifted", "image.healed"]
    policy = registry.root.get_lifecycle_policy(repositoryName=REPOSITORY)
    assert "untagged" in policy["lifecyclePolicyText"]
    # `latest` went with the repository, and moves there once more.
    assert not MovingTag.objects.unpushed().exists()
    with registry.client() as client:
        latest = client.get_manifest(REPOSITORY, "latest").digest
        assert client.head_manifest(REPOSITORY, "build-1-sbom") is not None
    assert image.current_build is not None
    assert latest == image.current_build.manifest_digest


def test_layers_that_nobody_has_any_more_are_made_of_the_lock(
    image: ManagedImage, registry: LocalAWS, workers: Workers, settings: Any, tmp_path: Path
) -> None:
    settings.CACHE_DIR = tmp_path / "empty-cache"
    lose_repository(registry)
    workers.verify()
    drift = Drift.objects.get()
    assert drift.state == WorkState.SUCCEEDED, f"{drift.error_message} {drift.log}"
    assert "layers of the lock again" in drift.log
    assert workers.verify() == []


def test_a_manifest_and_a_tag_that_somebody_deleted(
    image: ManagedImage, registry: LocalAWS, workers: Workers
) -> None:
    assert image.current_build is not None
    digest = image.current_build.manifest_digest
    registry.root.batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest}])
    assert workers.verify() == ["manifest_missing"]
    assert workers.verify() == []


def test_the_digest_stays_though_settings_have_changed(
    image: ManagedImage, registry: LocalAWS, workers: Workers, settings: Any
) -> None:
    settings.IMAGE_VENDOR = "Another vendor"
    lose_repository(registry)
    workers.verify()
    assert Drift.objects.get().state == WorkState.SUCCEEDED
    assert workers.verify() == []


def test_what_cannot_be_made_the_same_is_said_and_left_to_people(
    image: ManagedImage, registry: LocalAWS, workers: Workers, settings: Any, cast: Cast
) -> None:
    # A build of before manifests were kept, under settings that were others.
    KeptManifest.objects.all().delete()
    settings.IMAGE_VENDOR = "Another vendor"
    lose_repository(registry)
    workers.verify()
    drift = Drift.objects.get()
    assert (drift.state, drift.error_code) == (WorkState.FAILED, "cannot_be_made_again")
    assert "has another digest" in drift.error_message
    assert events() == ["image.drifted", "image.heal_failed"]
    # The repository is there again. What lacks is found, but is no news, and nothing is tried in vain.
    assert workers.verify() == ["manifest_missing"]
    assert Drift.objects.get().state == WorkState.FAILED
    page = cast.client(cast.member).get(reverse("image", args=[cast.workspace.pk, "lost"]))
    assert b"cannot be pushed again as it was" in page.content
    assert b"Rebuild" in page.content


def test_an_older_build_is_composed_of_its_records(
    image: ManagedImage, registry: LocalAWS, workers: Workers
) -> None:
    KeptManifest.objects.all().delete()
    lose_repository(registry)
    workers.verify()
    assert Drift.objects.get().state == WorkState.SUCCEEDED
    assert workers.verify() == []


@pytest.mark.parametrize(
    ("identity", "action"),
    [("registry-server", "ecr:CreateRepository"), ("build-jobs", "ecr:PutImage")],
)
def test_what_aws_refuses_is_told_and_healed_when_it_is_granted(
    image: ManagedImage, registry: LocalAWS, workers: Workers, identity: str, action: str
) -> None:
    lose_repository(registry)
    with without(registry, identity, action):
        workers.verify()
        drift = Drift.objects.get()
        assert drift.state == WorkState.QUEUED
        assert action in f"{drift.error_message} {drift.error_hint}"
        assert drift.due_at > timezone.now()
        sweep.sweep()
        workers.work()
        # The pause is kept, and the next one is longer.
        first = Drift.objects.get().due_at - timezone.now()
        Drift.objects.update(due_at=timezone.now())
        sweep.sweep()
        workers.work()
        assert Drift.objects.get().due_at - timezone.now() > first
    Drift.objects.update(due_at=timezone.now())
    sweep.sweep()
    workers.work()
    drift.refresh_from_db()
    assert (drift.state, drift.error_message) == (WorkState.SUCCEEDED, "")


def test_repair_can_be_turned_off(
    image: ManagedImage, registry: LocalAWS, workers: Workers, settings: Any
) -> None:
    settings.HEAL_DRIFT = False
    lose_repository(registry)
    workers.verify()
    Drift.objects.update(due_at=timezone.now())
    sweep.sweep()
    workers.work()
    assert Drift.objects.get().state == WorkState.QUEUED
    assert workers.verify() == ["repository_missing"]


def test_somebody_else_may_put_it_right(
    image: ManagedImage, registry: LocalAWS, workers: Workers, settings: Any
) -> None:
    settings.HEAL_DRIFT = False
    lose_repository(registry)
    workers.verify()
    settings.HEAL_DRIFT = True
    repair_by_hand = Drift.objects.get()
    with registry.identity("registry-server"):
        repair.restore(image.current_build)  # type: ignore[arg-type]
    assert repair_by_hand.build is not None
    drift = Drift.objects.get()
    Drift.objects.update(repository_made=True)
    with registry.identity("build-jobs"):
        repair.push_again(drift.pk)
    assert workers.verify() == []


def test_a_removed_image_is_left_alone(
    image: ManagedImage, registry: LocalAWS, workers: Workers, settings: Any, cast: Cast
) -> None:
    settings.HEAL_DRIFT = False
    lose_repository(registry)
    workers.verify()
    removal.remove_image(Actor(cast.admin), "lost")
    settings.HEAL_DRIFT = True
    Drift.objects.update(due_at=timezone.now())
    sweep.sweep()
    workers.work()
    names = [
        item["repositoryName"] for item in registry.root.describe_repositories()["repositories"]
    ]
    assert REPOSITORY not in names


def test_a_policy_is_put_again_twice_a_day(
    image: ManagedImage, registry: LocalAWS, workers: Workers
) -> None:
    registry.root.delete_lifecycle_policy(repositoryName=REPOSITORY)
    ManagedImage.objects.update(repository_due_at=timezone.now())
    with registry.identity("registry-server"):
        repositories.tidy_repository(image.pk)
    assert registry.root.get_lifecycle_policy(repositoryName=REPOSITORY)
    # Whoever looks after a repository sees that it is gone, too.
    lose_repository(registry)
    ManagedImage.objects.update(repository_due_at=timezone.now())
    with registry.identity("registry-server"):
        repositories.tidy_repository(image.pk)
    workers.work()
    assert Drift.objects.get().state == WorkState.SUCCEEDED


def test_a_base_image_comes_back_from_the_images_on_it(
    image: ManagedImage, registry: LocalAWS, workers: Workers, debian: BaseImage
) -> None:
    with registry.client() as client:
        manifest = client.get_manifest(debian.repository, debian.manifest_digest)
        config = manifest.json()["config"]
        kept = client.read_blob(
            debian.repository, Descriptor.from_json(config), 1 << 20, check=lambda: None
        )
    keep_manifest(debian, manifest.raw, kept)
    registry.control("registry-server").delete_repository(debian.repository)
    assert workers.verify() == ["repository_missing"]
    drift = Drift.objects.get()
    assert drift.state == WorkState.SUCCEEDED, drift.error_message
    assert workers.verify() == []


def test_a_slice_ends_when_a_build_waits_and_the_next_goes_on(
    image: ManagedImage,
    registry: LocalAWS,
    workers: Workers,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build_now(registry, ask(cast, "second", "pyjokes==0.6.0"))
    waiting = ask(cast, "waits", "pyjokes==0.6.0")
    ManagedImage.objects.filter(pk=waiting.pk).update(repository_ready_at=timezone.now())
    work = verification.begin()
    with registry.identity("build-jobs"):
        verification.look_at_images(work.pk)
    work.refresh_from_db()
    assert (work.state, work.seen) == (WorkState.QUEUED, 1)
    Build.objects.filter(image=waiting).update(state=WorkState.CANCELLED)
    ManagedImage.objects.filter(pk=waiting.pk).delete()
    Verification.objects.update(due_at=timezone.now())
    workers.waiting.clear()
    sweep.sweep()
    workers.work()
    work.refresh_from_db()
    assert (work.state, work.seen) == (WorkState.SUCCEEDED, 3)


def test_the_platform_looks_by_itself_at_its_time(
    image: ManagedImage, workers: Workers, settings: Any
) -> None:
    verification.begin_due()
    workers.work()
    looked = Verification.objects.get()
    assert (looked.by_platform, looked.state) == (True, WorkState.SUCCEEDED)
    verification.begin_due()
    assert Verification.objects.count() == 1
    Verification.objects.update(created_at=timezone.now() - timedelta(hours=1))
    settings.VERIFY_MINUTES = 0
    verification.begin_due()
    assert Verification.objects.count() == 1
    settings.VERIFY_MINUTES = 60
    verification.begin_due()
    assert Verification.objects.count() == 2
