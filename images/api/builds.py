"""REST endpoints for an image's builds: list, details, log."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from images.api import present, schemas
from images.models import Build, Instance
from images.queries import progress
from images.queries.forecast import Forecast
from images.queries.images import image_named
from ri_platform.api import ERRORS, Camel, page_of, router
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded

routes = router("Builds", "Every attempt to build an image, with its steps and its log.")


class BuildsPageIn(Camel):
    """The page of builds to return."""

    page_token: str = Field("", max_length=20, pattern=r"^[0-9]*$")
    """The `nextPageToken` of the previous page; empty for the first page."""
    page_size: int = Field(100, ge=1, le=1000)
    """The largest number of builds to return."""


class BuildsPage(Camel):
    """A page of an image's builds, newest first."""

    builds: list[schemas.BuildOut]
    """The builds of this page."""
    next_page_token: str
    """The token of the next page. On the last page it equals the token of the request."""


class Outlook(Camel):
    """The outlook of a build: its reason to wait, and the time it still takes."""

    waiting_for: str
    """The reason why it has not started, as a sentence; empty after the start."""
    builds_ahead: int | None = None
    """The number of builds ahead of it; absent if it runs or waits for something else."""
    seconds_left: float | None = None
    """Estimated seconds until it is ready, from recent builds; absent if there are too few."""


class OneBuild(Camel):
    """A build."""

    build: schemas.BuildOut
    """The build."""
    outlook: Outlook | None = None
    """The outlook of a build that is queued or running."""


class LogIn(Camel):
    """The position from which to read the log."""

    after: int = Field(0, ge=0, le=2_000_000_000)
    """An offset in characters: the `offset` of the previous answer."""


@routes.get("/images/{name}/builds", response={200: BuildsPage, **ERRORS}, summary="List builds")
@guarded(Action.SEE_IMAGES)
def list_builds(request: HttpRequest, name: str, asked: Query[BuildsPageIn]) -> dict[str, Any]:
    """Returns every attempt to build the image, newest first, in pages."""
    image = image_named(Actor.of(request).user, name)
    rows = image.builds.select_related("base_image").defer("lock")
    found, token = page_of(rows, ("number",), asked.page_size, asked.page_token, descending=True)
    return {"builds": present.builds(found), "next_page_token": token}


@routes.get(
    "/images/{name}/builds/{number}", response={200: OneBuild, **ERRORS}, summary="Get a build"
)
@guarded(Action.SEE_IMAGES)
def get_build(request: HttpRequest, name: str, number: int) -> dict[str, Any]:
    """Returns one attempt with its steps and, while it waits or runs, the time it still takes."""
    build = build_of(request, name, number)
    outlook = None
    if build.is_active:
        forecast = Forecast.read().by_image().get(build.image_id)
        outlook = {
            "waiting_for": progress.waiting_for(build.image, build, Instance.objects.seen()),
            "builds_ahead": forecast.ahead if forecast else None,
            "seconds_left": forecast.seconds if forecast else None,
        }
    return {"build": present.build(build), "outlook": outlook}


@routes.get(
    "/images/{name}/builds/{number}/log",
    response={200: schemas.LogOut, **ERRORS},
    summary="Read a build's log",
)
@guarded(Action.SEE_IMAGES)
def read_build_log(
    request: HttpRequest,
    name: str,
    number: int,
    asked: Query[LogIn],
) -> dict[str, Any]:
    """Returns the log from an offset on. Repeat with the `offset` of the answer until `done` is true."""
    build = build_of(request, name, number)
    text = "".join(chunk.text for chunk in build.log_chunks.filter(offset__gte=asked.after))
    return {"text": text, "offset": asked.after + len(text), "done": not build.is_active}


def build_of(request: HttpRequest, name: str, number: int) -> Build:
    return image_named(Actor.of(request).user, name).build_numbered(number)
