"""REST endpoints for jobs, by which public clients follow and cancel builds. Each is also a build's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from ninja import Query

from images.api import present
from images.api.job_schemas import JobLog, JobsIn, JobsPage, JobView, JobViewIn, OneJob
from images.models import Build, Instance
from images.operations import builds
from images.queries import job_logs, progress
from images.queries.jobs import JOB, STATUS, Job, JobFilter, build_of_job, page_of_jobs
from ri_platform.api import ERRORS, router
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, guarded
from workspaces.models import Workspace

TAG = ("Jobs", "Builds, as public clients follow them.")
routes, beta_routes, internal_routes = router(*TAG), router(*TAG), router(*TAG)

FULL: JobView = "JOB_VIEW_FULL"
IMAGE_BUILDER = "JOB_TYPE_IMAGE_BUILDER"
DEFAULT_SIZE = 20
NO_JOBS: dict[str, Any] = {"jobs": [], "next_page_token": "", "has_more": False}


@routes.get("/jobs", response={200: JobsPage, **ERRORS}, summary="List jobs")
@guarded(Action.SEE_IMAGES)
def list_jobs(request: HttpRequest, asked: Query[JobsIn]) -> dict[str, Any]:
    """Returns builds of all images, newest first, in pages."""
    return page(request, asked)


@routes.get(
    "/jobs/project/{workspace_id}",
    response={200: JobsPage, **ERRORS},
    summary="List a workspace's jobs",
)
@guarded(Action.SEE_IMAGES)
def list_jobs_of_workspace(
    request: HttpRequest, workspace: Workspace, asked: Query[JobsIn]
) -> dict[str, Any]:
    """Returns builds of the images that were created in the workspace. Clients call it a project."""
    return page(request, asked, workspace)


def page(request: HttpRequest, asked: JobsIn, workspace: Workspace | None = None) -> dict[str, Any]:
    if asked.selected_types and IMAGE_BUILDER not in asked.selected_types:
        return NO_JOBS
    states = [state for state, status in STATUS.items() if status in asked.selected_statuses]
    if asked.selected_statuses and not states:
        return NO_JOBS
    rows, token = page_of_jobs(
        Actor.of(request).user,
        JobFilter(states, asked.object_id),
        asked.page_token,
        asked.page_size or DEFAULT_SIZE,
        workspace,
    )
    instance = Instance.objects.seen()
    jobs = [job(request, row, asked.view, instance) for row in rows]
    return {"jobs": jobs, "next_page_token": token, "has_more": bool(token)}


@routes.get("/jobs/{job_id}", response={200: OneJob, **ERRORS}, summary="Get a job")
@guarded(Action.SEE_IMAGES)
def get_job(request: HttpRequest, job_id: str, asked: Query[JobViewIn]) -> dict[str, Any]:
    """Returns a build as a job, in the full view with its progress or the address of its log."""
    build = build_of_job(Actor.of(request).user, job_id)
    return {"job": job(request, build, asked.view, Instance.objects.seen())}


@routes.post("/jobs/cancel/{job_id}", response={200: Nothing, **ERRORS}, summary="Cancel a job")
@guarded(Action.CANCEL_BUILD, of=JOB)
def cancel_job(request: HttpRequest, job: Job) -> dict[str, Any]:
    """Stops this build, if it is queued or running. For the owners of its image."""
    builds.cancel_build(Actor.of(request), job.build.image, number=job.build.number)
    return {}


@beta_routes.get(
    "/jobs/generative/workspaces/{workspace_id}",
    response={200: JobsPage, **ERRORS},
    summary="List a workspace's tests",
)
@guarded(Action.SEE_IMAGES)
def list_generative_jobs(
    request: HttpRequest, workspace: Workspace, asked: Query[JobsIn]
) -> dict[str, Any]:
    """Always empty: the platform builds images, and has no jobs that test models."""
    return NO_JOBS


@beta_routes.get("/logs/{job_id}", response={200: JobLog, **ERRORS}, summary="Read a job's log")
@guarded(Action.SEE_IMAGES)
def get_latest_logs(request: HttpRequest, job_id: str) -> dict[str, Any]:
    """Returns the end of a build's log; `GET /v1/images/{name}/builds/{number}/log` reads the whole."""
    return end_of_log(request, job_id)


@internal_routes.get(
    "/logs/{job_id}", response={200: JobLog, **ERRORS}, summary="Read a job's log (2.0 to 2.2)"
)
@guarded(Action.SEE_IMAGES)
def get_latest_logs_internally(request: HttpRequest, job_id: str) -> dict[str, Any]:
    """The same as `GET /v1-beta/logs/{job_id}`, at the address that clients from 2.0.2 to 2.2 ask."""
    return end_of_log(request, job_id)


def end_of_log(request: HttpRequest, job_id: str) -> dict[str, Any]:
    build = build_of_job(Actor.of(request).user, job_id)
    return {"result": {"chunk": job_logs.whole_log(build)[-100_000:]}}


def job(request: HttpRequest, build: Build, view: JobView, instance: Instance) -> dict[str, Any]:
    """A build as a job; the full view has what costs more to say."""
    told = present.job(build)
    if view == FULL and build.is_active:
        told["job_progress_str"] = progress.sentence(build.image, build, instance)
    elif view == FULL:
        signed = job_logs.sign(build, Actor.of(request).user)
        told["archived_job_logs"] = {
            "url": {"url": request.build_absolute_uri(reverse("job_log", args=[signed]))},
            "expiration_time": timezone.now() + timedelta(seconds=job_logs.LASTS_SECONDS),
        }
    return told
