"""The records are held against themselves: what waits for ever, contradicts itself or is not audited."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images.jobs import sweep
from images.models import (
    AwsContact,
    BaseImage,
    Build,
    BuildHost,
    BuildReason,
    Drift,
    ImageCount,
    ManagedImage,
    MovingTag,
    Status,
    UnknownRepository,
)
from images.models.lease import WorkState
from images.operations import builds, removal, unknown_repositories
from images.operations.images import create_image
from images.requirements import PipRequirement
from images.spec import ImageSpec
from images.verification import records
from tests import factories
from tests.cast import Cast
from tests.images.queries.kept_counts import assert_counts_are_true
from workspaces.access import Actor

LONG_AGO = timedelta(hours=1)


def found(code: str = "", **options: timedelta) -> list[tuple[str, str]]:
    return [
        (item.code.value, item.subject)
        for item in records.findings(**options)
        if code in ("", item.code)
    ]


@pytest.fixture
def created(cast: Cast, base: BaseImage, sent: list[object]) -> ManagedImage:
    """An image that was asked for as people do, so that it is audited, and built."""
    image = create_image(Actor(cast.member), "churn", ImageSpec("all", "3.11"))
    image.builds.update(
        state=WorkState.SUCCEEDED, manifest_digest=factories.digest("churn"), lock="x",
        finished_at=timezone.now(), created_at=timezone.now() - LONG_AGO,
    )  # fmt: skip
    image.current_build, image.status = image.builds.get(), Status.READY
    image.repository_ready_at = timezone.now()
    image.save()
    return image


@pytest.mark.slow
def test_a_life_by_the_operations_leaves_nothing_to_find(created: ManagedImage, cast: Cast) -> None:
    assert found() == []
    build = builds.rebuild_image(Actor(cast.member), created)
    assert found() == []
    builds.cancel_build(Actor(cast.member), created)
    assert build.reason == BuildReason.REBUILD
    removal.remove_image(Actor(cast.admin), "churn")
    assert found() == []


@pytest.mark.slow
def test_work_whose_worker_died_and_which_nobody_takes_over(created: ManagedImage) -> None:
    created.builds.update(
        state=WorkState.RUNNING,
        lease_expires_at=timezone.now() - LONG_AGO,
        started_at=timezone.now(),
    )
    assert ("work_stuck", "churn #1") in found()
    created.builds.update(lease_expires_at=timezone.now() + LONG_AGO)
    assert found("work_stuck") == []


@pytest.mark.slow
def test_a_queue_that_no_worker_takes_from(created: ManagedImage, cast: Cast) -> None:
    builds.rebuild_image(Actor(cast.member), created)
    before = timezone.now() - LONG_AGO
    Build.objects.update(finished_at=before, started_at=None, created_at=before)
    sweep.sweep()
    assert found("work_stuck") == [("work_stuck", "churn #2")]
    # A long queue that moves is none.
    created.builds.filter(number=1).update(finished_at=timezone.now())
    assert found("work_stuck") == []
    # Nor is a build that waits to be repeated.
    created.builds.filter(number=1).update(finished_at=before)
    created.builds.filter(number=2).update(not_before=timezone.now() + LONG_AGO)
    assert found("work_stuck") == []


@pytest.mark.slow
def test_a_build_from_source_that_no_worker_takes_while_others_are_built(
    created: ManagedImage, cast: Cast
) -> None:
    BuildHost.objects.create(name="here", queue="sources")
    spec = ImageSpec("all", "3.11", (PipRequirement("six"),), allow_source=True)
    waits = create_image(Actor(cast.member), "waits", spec)
    waits.builds.update(created_at=timezone.now() - LONG_AGO)
    ManagedImage.objects.update(repository_ready_at=timezone.now())
    created.builds.update(finished_at=timezone.now())
    for _ in range(2):
        # The scheduler sends it again and again, to nobody.
        Build.objects.filter(image=waits).update(due_at=timezone.now())
        sweep.sweep()
        assert found("work_stuck") == [("work_stuck", "waits #1")]


@pytest.mark.slow
def test_repairs_tags_and_wishes_that_no_worker_takes(
    created: ManagedImage, cast: Cast, settings: Any
) -> None:
    before = timezone.now() - LONG_AGO
    Build.objects.update(finished_at=before)
    ManagedImage.objects.update(repository_ready_at=before, tags_may_move=True)
    Drift.objects.create(build=created.current_build, codes=["tag_missing"], said=["It is gone."])
    Drift.objects.update(created_at=before)
    MovingTag.objects.create(image=created, build=created.builds.get(), name="latest")
    MovingTag.objects.update(set_at=before)
    for name in ("adopt-me", "delete-me", "undecided"):
        factories.make_unknown_repository(name)
    unknown_repositories.adopt_repository(Actor(cast.admin), "adopt-me")
    unknown_repositories.delete_unknown_repository(Actor(cast.admin), "delete-me")
    assert ("work_stuck", "adopt-me") not in found()
    UnknownRepository.objects.exclude(wish="").update(wished_at=before)
    sweep.sweep()
    names = {"churn #1", "churn:latest", "adopt-me", "delete-me"}
    assert {subject for _, subject in found("work_stuck")} == names
    settings.HEAL_DRIFT = False
    assert {subject for _, subject in found("work_stuck")} == names - {"churn #1"}
    # Each waits for the workers of its own queue.
    AwsContact.objects.create(identity="registry", tried_at=timezone.now())
    assert {subject for _, subject in found("work_stuck")} == {"churn:latest", "adopt-me"}


@pytest.mark.slow
def test_a_removal_waits_for_its_time_first(created: ManagedImage, cast: Cast) -> None:
    before = timezone.now() - LONG_AGO
    Build.objects.update(finished_at=before)
    removal.remove_image(Actor(cast.admin), "churn")
    later = timezone.now() + LONG_AGO
    ManagedImage.objects.update(
        removed_at=before, deletion_due_at=later, repository_ready_at=before
    )
    assert found("work_stuck") == []
    ManagedImage.objects.update(deletion_due_at=before)
    sweep.sweep()
    assert found("work_stuck") == [("work_stuck", "churn")]


@pytest.mark.slow
def test_an_image_that_says_it_is_built_while_nothing_is(created: ManagedImage) -> None:
    ManagedImage.objects.update(status=Status.REBUILDING)
    assert found() == [("request_without_end", "churn")]


@pytest.mark.slow
def test_a_model_that_waits_for_an_image_which_nobody_builds(
    created: ManagedImage, cast: Cast
) -> None:
    model = factories.make_model(cast.workspace, name="Score")
    model.assignments.create(image=created, image_name="churn", state="waiting")
    assert found() == [("request_without_end", "Score")]


@pytest.mark.slow
def test_a_status_that_contradicts_the_builds(created: ManagedImage, cast: Cast) -> None:
    builds.rebuild_image(Actor(cast.member), created)
    ManagedImage.objects.update(status=Status.READY)
    assert found() == [("status_wrong", "churn")]


def test_a_count_that_is_wrong_is_found_and_counted_again(base: BaseImage) -> None:
    factories.make_images(["one", "two"], base=base)
    ImageCount.objects.sum_up(above=0)
    assert found("count_wrong") == []
    # As rows that are loaded beside the triggers, or a table that somebody emptied.
    ImageCount.objects.create(base_image=base, status=Status.READY, removed=False, number=2)
    assert found("count_wrong") == [("count_wrong", "READY")]
    ImageCount.objects.count_again()
    assert found("count_wrong") == []
    ImageCount.objects.all().delete()
    ImageCount.objects.create(base_image=None, status=Status.FAILED, removed=True, number=1)
    assert found("count_wrong") == [("count_wrong", "FAILED"), ("count_wrong", "READY")]
    ImageCount.objects.count_again()
    assert_counts_are_true()


def test_changes_without_an_event(base: BaseImage) -> None:
    image = factories.make_image("unheard", base=base)
    ManagedImage.objects.update(created_at=timezone.now() - LONG_AGO)
    factories.make_build(image, base, Status.READY, number=2, reason=BuildReason.ROLL_BACK)
    assert found() == [("audit_incomplete", "unheard"), ("audit_incomplete", "unheard")]
    # What is older than the log is kept for has no event any more.
    ManagedImage.objects.update(created_at=timezone.now() - timedelta(days=365))
    Build.objects.update(created_at=timezone.now() - timedelta(days=365))
    assert found() == []


@pytest.mark.slow
def test_the_number_of_queries_does_not_depend_on_the_rows(
    base: BaseImage, django_assert_num_queries: object
) -> None:
    factories.make_images([f"image-{number}" for number in range(30)], base=base)
    with django_assert_num_queries(15):  # type: ignore[operator]
        found()
