"""Looks go on: beside what AWS refuses, beside builds that nobody can do now, and after each interruption."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from images.jobs import verification
from images.jobs.verified_images import ImageSlice
from images.models import (
    BaseImage,
    Build,
    ManagedImage,
    Stage,
    Status,
    UnknownRepository,
    Verification,
    Wish,
)
from images.models.lease import WorkState
from images.spec import ImageSpec
from images.verification import names
from tests import factories
from tests.images.verification import pushed
from tests.images.verification.workers import Workers, workers_with_registers
from tests.local_aws import LocalAWS
from tests.permissions import denying, without
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def registry(empty_registry: LocalAWS) -> LocalAWS:
    return empty_registry


@pytest.fixture
def workers(registry: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Workers:
    return workers_with_registers(registry, monkeypatch)


@pytest.fixture
def pushed_base(registry: LocalAWS, workers: Workers, tmp_path: Path) -> BaseImage:
    return pushed.push_base(registry, tmp_path)


def push_ready(registry: LocalAWS, base: BaseImage, folder: Path, *wanted: str) -> None:
    for name in wanted:
        pushed.push_ready(registry, name, base, folder)
        tell_created(name)


def tell_created(name: str) -> None:
    AuditEvent.objects.create(
        event="image.created", object_type=ManagedImage.audit_type, object_name=name
    )


def codes(work: Verification) -> list[str]:
    work.refresh_from_db()
    return [item["code"] for item in work.findings]


def look_at_names(workers: Workers, work: Verification) -> Verification:
    with workers.aws.identity("registry-server"):
        verification.look_at_names(work.pk)
    work.refresh_from_db()
    return work


def test_one_repository_that_aws_refuses_stops_no_look_at_others(
    registry: LocalAWS, workers: Workers, pushed_base: BaseImage, tmp_path: Path
) -> None:
    push_ready(registry, pushed_base, tmp_path, "first", "kept", "last")
    with denying(registry, "build-jobs", "ecr:BatchGetImage", f"{pushed.PREFIX}/first"):
        assert workers.verify() == ["cannot_be_read"]
    done = Verification.objects.get()
    (finding,) = done.findings
    assert (finding["subject"], done.seen) == ("first", 4)
    assert "ecr:BatchGetImage" in finding["said"]
    assert workers.verify() == []


def test_a_registry_that_refuses_everything_is_no_finding_of_each_image(
    registry: LocalAWS, workers: Workers, pushed_base: BaseImage, tmp_path: Path
) -> None:
    push_ready(registry, pushed_base, tmp_path, "first", "kept", "last")
    work = verification.begin()
    with (
        without(registry, "build-jobs", "ecr:BatchGetImage"),
        registry.identity("build-jobs"),
    ):
        verification.look_at_images(work.pk)
    work.refresh_from_db()
    assert (work.state, work.cursor, work.findings) == (WorkState.QUEUED, 0, [])
    assert "ecr:BatchGetImage" in f"{work.error_message} {work.error_hint}"


def test_one_repository_of_no_record_that_aws_refuses_stops_no_look_at_others(
    registry: LocalAWS, workers: Workers, tmp_path: Path
) -> None:
    for name in ("hidden", "left"):
        pushed.push(registry, name, tmp_path, tags=["build-1"])
        tell_created(name)
    with denying(registry, "registry-server", "ecr:DescribeImages", f"{pushed.PREFIX}/hidden"):
        assert sorted(workers.verify()) == ["cannot_be_read", "repository_unknown"]
    assert UnknownRepository.objects.open().get().name == "left"


def test_a_build_that_nobody_can_do_now_keeps_no_look_waiting(
    registry: LocalAWS, workers: Workers, pushed_base: BaseImage, tmp_path: Path
) -> None:
    push_ready(registry, pushed_base, tmp_path, "first", "last")
    of_source = ImageSpec("all", "3.11", allow_source=True)
    factories.make_image(
        "waits", base=pushed_base, status=Status.BUILDING_FIRST_TIME, spec=of_source
    )
    ManagedImage.objects.filter(name="waits").update(repository_ready_at=timezone.now())
    assert Build.objects.startable().filter(state=WorkState.QUEUED).exists()
    work = verification.begin()
    with registry.identity("build-jobs"):
        verification.look_at_images(work.pk)
    work.refresh_from_db()
    assert (work.stage, work.seen) == (Stage.BUILDS, 3)


def test_a_look_for_names_ends_when_a_repository_waits_and_goes_on_where_it_was(
    registry: LocalAWS, workers: Workers, pushed_base: BaseImage, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        pushed.push(registry, name, tmp_path, tags=["build-1"])
        tell_created(name)
    waiting = factories.make_image("waits", base=pushed_base, status=Status.BUILDING_FIRST_TIME)
    ManagedImage.objects.filter(pk=waiting.pk).update(repository_ready_at=None)
    work = verification.begin()
    Verification.objects.update(stage=Stage.NAMES)
    places = []
    for _ in range(3):
        look_at_names(workers, work)
        places.append((work.cursor, work.name_cursor))
        assert work.state == WorkState.QUEUED
    assert places == sorted(set(places))
    waiting.delete()
    look_at_names(workers, work)
    assert work.state == WorkState.SUCCEEDED
    found = [item["subject"] for item in work.findings if item["code"] == "repository_unknown"]
    assert sorted(found) == ["one", "three", "two"]


def test_a_list_of_names_that_somebody_deleted_is_filled_again(
    registry: LocalAWS, workers: Workers, pushed_base: BaseImage, tmp_path: Path
) -> None:
    push_ready(registry, pushed_base, tmp_path, "kept")
    assert workers.verify() == []
    control = registry.control("registry-server")
    register = names.register_for(pushed.PREFIX, "kept")
    control.delete_repository(register)
    assert workers.verify() == ["names_lost"]
    assert workers.verify() == []
    assert [item.tag for item in control.list_images(register)] == ["kept"]


def test_what_an_operator_told_of_stays_found(
    registry: LocalAWS, workers: Workers, tmp_path: Path
) -> None:
    pushed.push(registry, "told", tmp_path, tags=["build-1"])
    verification.begin(more_names=["told"])
    workers.work()
    assert workers.verify() == ["repository_unknown"]
    assert UnknownRepository.objects.open().get().name == "told"
    registry.control("registry-server").delete_repository(f"{pushed.PREFIX}/told")
    assert workers.verify() == []
    assert not UnknownRepository.objects.open().exists()


def test_what_is_decided_on_is_left_to_its_worker(registry: LocalAWS, workers: Workers) -> None:
    factories.make_unknown_repository("wanted", wish=Wish.DELETE)
    assert workers.verify() == []
    assert UnknownRepository.objects.open().get().name == "wanted"


def test_the_platforms_own_look_begins_beside_an_operators(
    registry: LocalAWS, workers: Workers
) -> None:
    verification.begin(deep=True)
    verification.begin_due()
    verification.begin_due()
    found = Verification.objects.order_by("pk").values_list("by_platform", flat=True)
    assert list(found) == [False, True]


def test_verifications_at_the_same_time_share_the_pace(
    registry: LocalAWS, workers: Workers
) -> None:
    looks = [verification.begin() for _ in range(2)]
    gaps = []
    for work in looks:
        claimed = Verification.objects.claim(work.pk, 60)
        assert claimed is not None
        gaps.append(ImageSlice(claimed, lambda: None).pace.gap)
    assert gaps[1] == 2 * gaps[0]


def test_the_platforms_look_puts_the_policies_of_base_images_again(
    registry: LocalAWS, workers: Workers, pushed_base: BaseImage
) -> None:
    registry.control("registry-server").put_lifecycle_policy(pushed_base.repository)
    registry.root.delete_lifecycle_policy(repositoryName=pushed_base.repository)
    verification.begin(by_platform=True)
    workers.work()
    assert registry.root.get_lifecycle_policy(repositoryName=pushed_base.repository)
