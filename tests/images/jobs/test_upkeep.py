"""What AWS refuses of a repository's upkeep is told, tried again with growing pauses, and heals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images import wake
from images.errors import RegistryDenied
from images.jobs import repositories, restored, sweep, upkeep, verification
from images.jobs.verified_names import NameSlice
from images.models import (
    BaseImage,
    Build,
    Instance,
    ManagedImage,
    RefusedRepository,
    Status,
    Verification,
)
from images.models.build import BuildReason
from images.models.lease import WorkState
from images.operations import refused_repositories, removal
from images.queries import progress
from images.queries.forecast import Forecast
from ri_platform.errors import Conflict
from tests import factories
from tests.cast import Cast
from tests.images.verification.workers import Workers
from tests.local_aws import LocalAWS
from tests.permissions import without
from workspaces.access import Actor

POLICY = "ecr:PutLifecyclePolicy"
KEPT = "rime-managed-images/kept"
DENIED = RegistryDenied("AWS refused it.", hint="An operator must allow it.")


@pytest.fixture
def kept(base: BaseImage) -> ManagedImage:
    """An image whose repository is due to be tidied."""
    image = factories.make_image("kept", base=base)
    make_due()
    return image


def make_due() -> None:
    ManagedImage.objects.update(repository_due_at=timezone.now() - timedelta(seconds=1))


def tidy(aws: LocalAWS, image: ManagedImage) -> None:
    with aws.identity("registry-server"):
        repositories.tidy_repository(image.pk)


def pause_of(image: ManagedImage) -> float:
    """In minutes."""
    image.refresh_from_db()
    return round((image.repository_due_at - timezone.now()).total_seconds() / 60, 1)


def test_pauses_double_up_to_an_hour(kept: ManagedImage) -> None:
    pauses = []
    for _ in range(6):
        upkeep.record_image_refusal(kept, DENIED)
        pauses.append(pause_of(kept))
        # The time passes.
        since = RefusedRepository.objects.get().since - timedelta(minutes=pauses[-1])
        RefusedRepository.objects.update(since=since)
    assert pauses == [10, 20, 40, 60, 60, 60]
    assert RefusedRepository.objects.get().attempts == 6


@pytest.mark.parametrize("action", [POLICY, "ecr:DescribeImages"])
def test_what_is_refused_of_an_image_is_told_until_it_is_allowed(
    action: str, kept: ManagedImage, registry: LocalAWS
) -> None:
    with registry.repositories(KEPT):
        with without(registry, "registry-server", action):
            tidy(registry, kept)
        refused = RefusedRepository.objects.get()
        assert (refused.repository, refused.image) == (KEPT, kept)
        assert f"AWS refused {action}" in refused.error_message
        assert f"must allow {action}" in refused.error_hint
        assert pause_of(kept) == 10
        assert abs(refused.due_at - kept.repository_due_at) < timedelta(seconds=1)
        # It is not taken for one that has no repository yet.
        assert kept.repository_error == ""
        make_due()
        tidy(registry, kept)
    assert not RefusedRepository.objects.exists()
    assert pause_of(kept) > 11 * 60


def test_a_build_that_ends_puts_the_next_attempt_off_no_further(
    kept: ManagedImage, settings: Any
) -> None:
    upkeep.record_image_refusal(kept, DENIED)
    repositories.tidy_repository(kept.pk)
    assert pause_of(kept) == 10


def test_a_refused_policy_keeps_no_build_waiting(kept: ManagedImage, base: BaseImage) -> None:
    upkeep.record_image_refusal(kept, DENIED)
    values = {"state": WorkState.QUEUED, "reason": BuildReason.REBUILD}
    build = factories.make_build(kept, base, Status.REBUILDING, 2, **values)
    assert list(Build.objects.startable()) == [build]
    assert "make the image's repository" not in progress.waiting_for(
        kept, build, Instance.objects.seen()
    )
    assert Forecast.read().by_image()[kept.pk].ahead is not None


def test_a_removal_that_is_refused_is_told_and_ends_when_it_is_allowed(
    kept: ManagedImage, registry: LocalAWS, cast: Cast, settings: Any, sent: list[object]
) -> None:
    settings.REMOVAL_GRACE = timedelta()
    upkeep.record_image_refusal(kept, DENIED)
    removal.remove_image(Actor(cast.admin), "kept")
    assert not RefusedRepository.objects.exists()
    registry.control("registry-server").create_repository(KEPT, ours=False)
    pauses = []
    with without(registry, "registry-server", "ecr:DeleteRepository"):
        for _ in range(3):
            with registry.identity("registry-server"):
                repositories.delete_repository(kept.pk)
            pauses.append(pause_of(kept))
            since = RefusedRepository.objects.get().since - timedelta(minutes=pauses[-1])
            RefusedRepository.objects.update(since=since)
    assert pauses == [0.5, 1, 2]
    refused = RefusedRepository.objects.get()
    assert "must allow ecr:DeleteRepository" in refused.reason
    assert "ecr:DeleteRepository" in kept.repository_error
    sweep.wake_for_repositories()
    assert sent == []
    make_due()
    sweep.wake_for_repositories()
    assert sent == [(wake.Task.DELETE_REPOSITORY, kept.pk)]
    with registry.identity("registry-server"):
        repositories.delete_repository(kept.pk)
    assert not RefusedRepository.objects.exists()
    assert not ManagedImage.objects.exists()


def test_an_image_that_is_removed_meanwhile_is_left_alone(kept: ManagedImage, cast: Cast) -> None:
    removal.remove_image(Actor(cast.admin), "kept")
    upkeep.record_image_refusal(kept, DENIED)
    assert not RefusedRepository.objects.exists()


def test_a_restored_backup_forgets_refused_removals(kept: ManagedImage, cast: Cast) -> None:
    removal.remove_image(Actor(cast.admin), "kept")
    kept.refresh_from_db()
    upkeep.record_image_refusal(kept, DENIED)
    factories.make_refused_repository("rime-managed-images/base/all-python3.11")
    restored.prepare_restored()
    assert RefusedRepository.objects.get().image is None


@pytest.fixture
def own_base(base: BaseImage) -> BaseImage:
    """A base image with a repository that no other test has."""
    base.repository = "rime-managed-images/base/upkeep-3.11"
    base.save(update_fields=["repository"])
    return base


@pytest.fixture
def workers(db: None, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Workers:
    factories.make_instance()
    return Workers(registry, monkeypatch)


def name_slice() -> NameSlice:
    """The part of a look of the platform that the registry server does."""
    claimed = Verification.objects.claim(verification.begin(by_platform=True).pk, 60)
    assert claimed is not None
    return NameSlice(claimed, lambda: None)


def later() -> None:
    RefusedRepository.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def test_what_is_refused_of_a_base_image_is_tried_again_until_it_is_allowed(
    own_base: BaseImage, registry: LocalAWS, workers: Workers
) -> None:
    repository = own_base.repository
    with registry.repositories(repository):
        with without(registry, "registry-server", POLICY):
            with registry.identity("registry-server"):
                name_slice().put_base_policies()
            refused = RefusedRepository.objects.get()
            assert (refused.repository, refused.image) == (repository, None)
            assert f"must allow {POLICY}" in refused.error_hint
            assert "keep_up_repository" not in workers.sweep()
            later()
            assert "keep_up_repository" in workers.sweep()
            assert RefusedRepository.objects.get().attempts == 2
        later()
        assert "keep_up_repository" in workers.sweep()
        assert not RefusedRepository.objects.exists()
        assert registry.root.get_lifecycle_policy(repositoryName=repository)


def test_the_next_look_heals_a_base_image_as_well(
    own_base: BaseImage, registry: LocalAWS, workers: Workers
) -> None:
    factories.make_refused_repository(own_base.repository)
    with registry.repositories(own_base.repository), registry.identity("registry-server"):
        name_slice().put_base_policies()
    assert not RefusedRepository.objects.exists()


def test_a_list_of_names_that_cannot_be_made_is_told_and_made_when_it_is_allowed(
    registry: LocalAWS, workers: Workers
) -> None:
    register = "rime-managed-images/instance/names-0"
    control = registry.control("registry-server")
    control.delete_repository(register)
    with without(registry, "registry-server", "ecr:CreateRepository"):
        with registry.identity("registry-server"):
            name_slice().names_at("0")
        refused = RefusedRepository.objects.get()
        assert refused.repository == register
        assert "must allow ecr:CreateRepository" in refused.error_hint
    later()
    workers.sweep()
    assert not RefusedRepository.objects.exists()
    assert control.list_images(register) == []


def test_a_base_image_that_is_gone_has_nothing_to_keep_up(
    registry: LocalAWS, workers: Workers
) -> None:
    factories.make_refused_repository("rime-managed-images/base/gone-3.11")
    later()
    workers.sweep()
    assert not RefusedRepository.objects.exists()


def test_an_operator_has_it_tried_again_at_once(
    kept: ManagedImage,
    cast: Cast,
    sent: list[tuple[wake.Task, int]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    other = factories.make_image("removed", base=kept.builds.get().base_image)
    removal.remove_image(Actor(cast.admin), "removed")
    for image in ManagedImage.objects.all():
        upkeep.record_image_refusal(image, DENIED)
    own = factories.make_refused_repository("rime-managed-images/base/all-3.11")
    with django_capture_on_commit_callbacks(execute=True):
        for refused in RefusedRepository.objects.all():
            refused_repositories.try_again(Actor(cast.admin), refused)
    assert set(sent) == {
        (wake.Task.TIDY_REPOSITORY, kept.pk),
        (wake.Task.DELETE_REPOSITORY, other.pk),
        (wake.Task.KEEP_UP_REPOSITORY, own.pk),
    }
    assert pause_of(kept) <= 0
    own_pk = own.pk
    own.delete()
    with pytest.raises(Conflict, match="kept up again"):
        refused_repositories.try_again(Actor(cast.admin), RefusedRepository(pk=own_pk))
