"""REST endpoints for what the registry lacks, and for repositories in it that no record knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from images.api.drift_schemas import ListedDrift, listed_drift
from images.api.problems import Problem, problem
from images.models import UnknownRepository, Wish
from images.operations import unknown_repositories
from images.queries.drifts import DriftNotice, open_drifts
from ri_platform.api import ERRORS, Camel, Line, PageIn, PageOut, page_of, router
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded

routes = router(
    "Registry contents",
    "What the registry lacks of images, and repositories in it that no record knows. For Organization "
    "Administrators.",
)


class ContentsIn(PageIn):
    """The page of drifts or of unknown repositories to return."""

    page_size: int = Field(100, ge=1, le=1000)
    """The largest number of items to return."""


class DriftsPage(PageOut):
    """A page of drifts, the oldest first."""

    drifts: list[ListedDrift]
    """The drifts of this page."""


class UnknownRepositoryIn(Camel):
    """The repository that is meant."""

    name: Line = Field(
        min_length=1, max_length=column_length(UnknownRepository, "name"), examples=["churn"]
    )
    """Its name without the prefix."""


class UnknownRepositoryOut(Camel):
    """A repository under the prefix that no record knows, or that has builds that no record knows."""

    name: str = Field(examples=["churn"])
    """Its name without the prefix: an image's name, or `base/…`."""
    known_image: bool = Field(examples=[False])
    """Whether its image is known, and only the builds are not."""
    builds: list[int] = Field(examples=[[4, 3]])
    """The numbers of the builds in it, the latest first."""
    size_bytes: int
    """Its size."""
    push_time: datetime | None = None
    """When something was pushed to it last, as far as it is known."""
    decision: Wish = Field(examples=["adopt"])
    """What an administrator decided and a worker is at: `adopt`, `delete`; empty if nobody has yet."""
    error: Problem | None = None
    """The reason why the decision could not be carried out."""
    discovery_time: datetime
    """When it was found."""


class UnknownRepositoriesPage(PageOut):
    """A page of unknown repositories, by name."""

    repositories: list[UnknownRepositoryOut]
    """The repositories of this page."""


class OneUnknownRepository(Camel):
    """An unknown repository."""

    repository: UnknownRepositoryOut
    """The repository, with the decision."""


@routes.get("/image-registry/drifts", response={200: DriftsPage, **ERRORS}, summary="List drifts")
@guarded(Action.SEE_ORGANIZATION)
def list_drifts(request: HttpRequest, asked: Query[ContentsIn]) -> dict[str, Any]:
    """Returns managed and base images that the registry does not hold as they were built."""
    found, token = page_of(open_drifts(), ("id",), asked.page_size, asked.page_token)
    drifts = [listed_drift(DriftNotice.of(row)) for row in found]
    return {"drifts": drifts, "next_page_token": token}


@routes.get(
    "/image-registry/unknown-repositories",
    response={200: UnknownRepositoriesPage, **ERRORS},
    summary="List unknown repositories",
)
@guarded(Action.SEE_ORGANIZATION)
def list_unknown_repositories(request: HttpRequest, asked: Query[ContentsIn]) -> dict[str, Any]:
    """Returns repositories under the prefix that no record knows, such as what is newer than a backup."""
    rows = UnknownRepository.objects.open()
    found, token = page_of(rows, ("name",), asked.page_size, asked.page_token)
    return {"repositories": list(map(repository, found)), "next_page_token": token}


@routes.post(
    "/image-registry/unknown-repositories:adopt",
    response={200: OneUnknownRepository, **ERRORS},
    summary="Adopt an unknown repository",
)
@guarded(Action.MANAGE_UNKNOWN_REPOSITORIES)
def adopt_unknown_repository(request: HttpRequest, wanted: UnknownRepositoryIn) -> dict[str, Any]:
    """Has the newest build in a repository become an image of this instance. Workers carry that out."""
    row = unknown_repositories.adopt_repository(Actor.of(request), wanted.name)
    return {"repository": repository(row)}


@routes.post(
    "/image-registry/unknown-repositories:delete",
    response={200: OneUnknownRepository, **ERRORS},
    summary="Delete an unknown repository",
)
@guarded(Action.MANAGE_UNKNOWN_REPOSITORIES)
def delete_unknown_repository(request: HttpRequest, wanted: UnknownRepositoryIn) -> dict[str, Any]:
    """Has a repository deleted with all in it, for good. Workers carry that out."""
    row = unknown_repositories.delete_unknown_repository(Actor.of(request), wanted.name)
    return {"repository": repository(row)}


def repository(row: UnknownRepository) -> dict[str, Any]:
    return {
        "name": row.name,
        "known_image": row.of_known_image,
        "builds": row.builds,
        "size_bytes": row.size_bytes,
        "push_time": row.pushed_at,
        "decision": row.wish,
        "error": problem(row),
        "discovery_time": row.created_at,
    }
