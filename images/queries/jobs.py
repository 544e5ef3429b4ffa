"""Builds as jobs, which is what public clients call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from images.models import Build, ManagedImage
from images.models.lease import WorkState
from images.queries.capabilities import require_enabled
from images.queries.page_tokens import read_content, sign_content
from ri_platform.errors import NotFound
from ri_platform.numbers import number_of
from workspaces.access import Actor
from workspaces.guard import Place
from workspaces.models import User, Workspace

SALT = "images.jobs"


@dataclass(frozen=True)
class Job:
    """A build, with the owners of its image."""

    build: Build

    @property
    def created_by_id(self) -> int | None:
        return self.build.image.created_by_id

    @property
    def created_in_id(self) -> UUID | None:
        return self.build.image.created_in_id


@dataclass(frozen=True)
class JobFilter:
    """The states and the image's name that a list is narrowed to; empty for all."""

    states: Sequence[str] = ()
    image: str = ""


def visible_builds(user: User) -> QuerySet[Build]:
    """The builds of the images that `user` sees."""
    images = ManagedImage.objects.visible_to(user)
    builds = Build.objects.filter(image__in=images).select_related("image", "base_image")
    return builds.defer("lock", "base_image__native", "base_image__os_packages")


def build_of_job(user: User, job_id: str) -> Build:
    """The build that a job is, if `user` sees its image. Raises `NotFound`."""
    require_enabled()
    number = number_of(job_id, 63)
    found = None if number is None else visible_builds(user).filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no job {job_id[:100]}.")
    return found


def job_of(actor: Actor, job_id: str) -> Job:
    """The job that a URL names, for an action that is its image's owners'. Raises `NotFound`."""
    return Job(build_of_job(actor.user, job_id))


JOB = Place("job_id", "job", str, job_of, owned=True)


def page_of_jobs(
    user: User, wanted: JobFilter, token: str, size: int, workspace: Workspace | None = None
) -> tuple[list[Build], str]:
    """Builds, newest first, and the token of the next page, empty on the last one.

    `token` has the filter of the first page, which counts. Only images that were created in `workspace`
    count, if one is given. Raises `Invalid` for a token that is not ours.
    """
    require_enabled()
    rows = visible_builds(user).order_by("-pk")
    if token:
        before, wanted = read_page_token(token)
        rows = rows.filter(pk__lt=before)
    if wanted.states:
        rows = rows.filter(state__in=wanted.states)
    if wanted.image:
        rows = rows.filter(image__name=wanted.image)
    if workspace is not None:
        rows = rows.filter(image__created_in=workspace)
    found = list(rows[: size + 1])
    shown = found[:size]
    if len(found) == len(shown):
        return shown, ""
    return shown, sign_content([shown[-1].pk, list(wanted.states), wanted.image], SALT)


def read_page_token(token: str) -> tuple[int, JobFilter]:
    before, states, image = read_content(token, SALT)
    return before, JobFilter(states, image)


# The original's word for the state of a job.
STATUS = {
    WorkState.QUEUED: "JOB_STATUS_PENDING",
    WorkState.RUNNING: "JOB_STATUS_RUNNING",
    WorkState.SUCCEEDED: "JOB_STATUS_SUCCEEDED",
    WorkState.FAILED: "JOB_STATUS_FAILED",
    WorkState.CANCELLED: "JOB_STATUS_CANCELLED",
}
