"""Builds as jobs: who sees and cancels them, lists, and the address of a log."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import LazySettings
from django.core import signing
from django.test import Client
from django.utils import timezone

from images.models import BaseImage, Build, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import removal
from images.queries import job_logs
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import WorkspaceRole

pytestmark = pytest.mark.django_db


def job_of(image: ManagedImage) -> str:
    return str(image.builds.get().pk)


@pytest.fixture
def failed(base: BaseImage, cast: Cast) -> ManagedImage:
    """An image of the member's whose one build failed, with a log."""
    image = factories.make_image(
        "job-failed", base=base, status=Status.FAILED,
        created_by=cast.member, created_in=cast.workspace,
    )  # fmt: skip
    image.builds.get().log_chunks.create(offset=0, text="Resolving nosuchlib\n")
    return image


def running(base: BaseImage, cast: Cast, name: str = "job-running", **timings: Any) -> Build:
    image = factories.make_image(
        name, base=base, status=Status.BUILDING_FIRST_TIME,
        created_by=cast.member, created_in=cast.workspace,
    )  # fmt: skip
    now = timezone.now()
    image.builds.update(
        state=WorkState.RUNNING, started_at=now - timedelta(minutes=1), timings=timings,
        lease_expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    return image.builds.get()


@pytest.mark.slow
def test_the_job_of_a_new_image_is_pending_and_can_be_asked_for(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    body = {"name": "job-new", "pipRequirements": [{"name": "numpy"}]}
    job = ask(cast.member, "POST", "/v1/images", body).json()["job"]
    assert job["status"] == "JOB_STATUS_PENDING"
    answer = ask(cast.viewer, "GET", f"/v1/jobs/{job['jobId']}?view=JOB_VIEW_FULL").json()["job"]
    assert answer == {**job, "jobProgressStr": "Waiting for the image's repository."}
    assert (job["runningTimeSecs"], job["terminationReason"]) == (
        0,
        "TERMINATION_REASON_NOT_TERMINATED",
    )


def test_the_full_view_of_a_running_build_says_its_step(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    began = {"started_at": timezone.now().isoformat(), "seconds": None}
    done = {"started_at": timezone.now().isoformat(), "seconds": 2.0}
    build = running(base, cast, resolve=done, fetch=began)
    basic = ask(cast.viewer, "GET", f"/v1/jobs/{build.pk}").json()["job"]
    assert basic["status"] == "JOB_STATUS_RUNNING"
    assert basic["runningTimeSecs"] >= 60
    assert "jobProgressStr" not in basic
    full = ask(cast.viewer, "GET", f"/v1/jobs/{build.pk}?view=JOB_VIEW_FULL").json()["job"]
    assert full["jobProgressStr"] == "Fetch, step 2 of 5"
    assert "archivedJobLogs" not in full


def test_without_the_registry_there_are_no_jobs(
    ask: Ask, cast: Cast, failed: ManagedImage, settings: LazySettings
) -> None:
    signed = job_logs.sign(failed.builds.get(), cast.member)
    settings.IMAGE_REGISTRY_ENABLED = False
    for path in ("/v1/jobs", f"/v1/jobs/{job_of(failed)}", f"/v1-beta/logs/{job_of(failed)}"):
        assert ask(cast.admin, "GET", path).status_code == 503
    assert Client().get(f"/job-logs/{signed}").status_code == 503


@pytest.mark.parametrize("job_id", ["0", "-1", "x", "9" * 30, "1.5", "%00"])
def test_what_is_no_job_is_not_found(job_id: str, ask: Ask, cast: Cast) -> None:
    for method, path in (("GET", "jobs"), ("POST", "jobs/cancel")):
        assert ask(cast.admin, method, f"/v1/{path}/{job_id}").status_code in (400, 404)
    assert ask(cast.admin, "GET", f"/v1-beta/logs/{job_id}").status_code in (400, 404)


@pytest.mark.slow
def test_the_job_of_a_removed_image_is_gone(ask: Ask, cast: Cast, failed: ManagedImage) -> None:
    job = job_of(failed)
    signed = job_logs.sign(failed.builds.get(), cast.member)
    removal.remove_image(Actor(cast.admin), failed.name, typed_name=failed.name)
    assert ask(cast.admin, "GET", f"/v1/jobs/{job}").status_code == 404
    assert ask(cast.admin, "GET", f"/v1-beta/logs/{job}").status_code == 404
    assert Client().get(f"/job-logs/{signed}").status_code == 404


@pytest.mark.slow
def test_owners_of_the_image_cancel_its_job_and_no_other_build(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    build = running(base, cast)
    path = f"/v1/jobs/cancel/{build.pk}"
    assert ask(cast.viewer, "POST", path).status_code == 403
    assert ask(cast.member, "POST", path).json() == {}
    job = ask(cast.member, "GET", f"/v1/jobs/{build.pk}").json()["job"]
    assert (job["status"], job["cancellationRequested"]) == ("JOB_STATUS_CANCELLED", True)
    # The next build of the same image is another job.
    later = factories.make_build(
        build.image, base, Status.BUILDING_FIRST_TIME, number=2, state=WorkState.QUEUED
    )
    answer = ask(cast.member, "POST", path)
    assert answer.status_code == 409
    assert "Build 1 of job-running has ended already" in answer.json()["message"]
    later.refresh_from_db()
    assert later.state == WorkState.QUEUED


@pytest.mark.slow
def test_lists_come_newest_first_with_the_filter_of_the_first_page(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    for number in range(5):
        factories.make_image(f"job-{number}", base=base, status=Status.FAILED)
    running(base, cast)
    statuses = ("JOB_STATUS_FAILED", "JOB_STATUS_CANCELLED")
    query = "&".join(f"firstPageQuery.selectedStatuses={status}" for status in statuses)
    first = ask(cast.viewer, "GET", f"/v1/jobs?{query}&pageSize=3").json()
    assert first["hasMore"]
    second = ask(
        cast.viewer, "GET", f"/v1/jobs?pageToken={first['nextPageToken']}&pageSize=3"
    ).json()
    found = [int(job["jobId"]) for job in first["jobs"] + second["jobs"]]
    assert len(found) == 5
    assert found == sorted(found, reverse=True)
    assert (second["hasMore"], second["nextPageToken"]) == (False, "")
    assert ask(cast.viewer, "GET", "/v1/jobs?pageToken=other").status_code == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["job-mine", "job-theirs"]),
        ("firstPageQuery.objectId=job-mine", ["job-mine"]),
        ("firstPageQuery.selectedTypes=JOB_TYPE_IMAGE_BUILDER", ["job-mine", "job-theirs"]),
        ("firstPageQuery.selectedTypes=JOB_TYPE_MODEL_STRESS_TEST", []),
        ("firstPageQuery.selectedStatuses=JOB_STATUS_REQUESTED", []),
        ("firstPageQuery.selectedStatuses=JOB_STATUS_SUCCEEDED&pageSize=0", ["job-mine", "job-theirs"]),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_a_list_is_narrowed(
    query: str, names: list[str], ask: Ask, cast: Cast, base: BaseImage
) -> None:
    factories.make_workspace(stranger=(cast.stranger, WorkspaceRole.MEMBER))
    factories.make_image("job-theirs", base=base)
    factories.make_image("job-mine", base=base, created_in=cast.workspace)
    jobs = ask(cast.viewer, "GET", f"/v1/jobs?{query}").json()["jobs"]
    found = Build.objects.filter(pk__in=[job["jobId"] for job in jobs])
    assert sorted(found.values_list("image__name", flat=True)) == names
    # A client's project is a workspace here, which strangers do not see.
    path = f"/v1/jobs/project/{cast.workspace.pk}?{query}"
    of_workspace = ask(cast.viewer, "GET", path).json()["jobs"]
    assert len(of_workspace) == names.count("job-mine")
    tests = f"/v1-beta/jobs/generative/workspaces/{cast.workspace.pk}?{query}"
    assert ask(cast.viewer, "GET", tests).json()["jobs"] == []
    assert ask(cast.stranger, "GET", path).status_code == 404


@pytest.mark.slow
def test_the_log_of_a_failed_job_is_at_an_address_that_needs_no_token(
    ask: Ask, cast: Cast, failed: ManagedImage
) -> None:
    job = ask(cast.viewer, "GET", f"/v1/jobs/{job_of(failed)}?view=JOB_VIEW_FULL").json()["job"]
    assert "nosuchlib" in job["errorMsg"]
    address = job["archivedJobLogs"]["url"]["url"]
    assert address.startswith("http://testserver/job-logs/")
    answer = Client().get(address)
    assert answer.content == b"Resolving nosuchlib\n"
    assert answer["Content-Type"].startswith("text/plain")
    assert answer["Cache-Control"] == "no-store"
    assert Client().post(address).status_code == 405
    logs = ask(cast.viewer, "GET", f"/v1-beta/logs/{job_of(failed)}").json()
    assert logs == {"result": {"chunk": "Resolving nosuchlib\n"}}


def test_an_address_of_a_log_expires(cast: Cast, failed: ManagedImage) -> None:
    signed = job_logs.sign(failed.builds.get(), cast.viewer)
    end = timezone.now().timestamp() + job_logs.LASTS_SECONDS

    def opened(at: float) -> Any:
        with patch.object(signing, "time", SimpleNamespace(time=lambda: at)):
            return Client().get(f"/job-logs/{signed}")

    assert opened(end - 60).status_code == 200
    answer = opened(end + 60)
    assert answer.status_code == 404
    assert b"has expired" in answer.content


@pytest.mark.slow
def test_an_address_of_a_log_ends_with_its_account(cast: Cast, failed: ManagedImage) -> None:
    signed = job_logs.sign(failed.builds.get(), cast.viewer)
    cast.viewer.is_active = False
    cast.viewer.save()
    assert Client().get(f"/job-logs/{signed}").status_code == 404
    cast.viewer.delete()
    assert Client().get(f"/job-logs/{signed}").status_code == 404


def test_nobody_makes_an_address_of_a_log_for_another_job(
    cast: Cast, base: BaseImage, failed: ManagedImage
) -> None:
    signed = job_logs.sign(failed.builds.get(), cast.viewer)
    other = factories.make_image("job-other", base=base).builds.get()
    value, rest = signed.split(":", 1)
    forged = signing.TimestampSigner(salt="elsewhere").sign_object([other.pk, cast.viewer.pk])
    for wrong in (forged, f"{forged.split(':', 1)[0]}:{rest}", value, f"{signed}x"):
        assert Client().get(f"/job-logs/{wrong}").status_code == 404
    with patch.object(job_logs, "_SIGNER", signing.TimestampSigner(key="k" * 50, salt="x")):
        assert Client().get(f"/job-logs/{signed}").status_code == 404
