"""REST for what can be kept of an image beside the image itself: lock, SBOM and provenance, as files."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import Field

from images import attestations
from images.comparison import revision_of
from images.references import repository_of
from ri_platform.api import ERRORS, Camel, router
from workspaces.access import Action, Actor
from workspaces.api import guarded

routes = router("Lock, SBOM and provenance")


class RevisionIn(Camel):
    """Which build."""

    build: int | None = Field(None, ge=1, le=2_000_000_000)
    """The number of a build that succeeded; without it the current one."""


def of_type(media_type: str, kind: str) -> dict[str, Any]:
    """What OpenAPI says of a file instead of JSON."""
    return {"responses": {200: {"content": {media_type: {"schema": {"type": kind}}}}}}


@routes.get(
    "/images/{name}/lock",
    response={200: str, **ERRORS},
    summary="Get the lock",
    openapi_extra=of_type("application/toml", "string"),
)
@guarded(Action.SEE_IMAGES)
def get_lock(request: HttpRequest, name: str, asked: Query[RevisionIn]) -> HttpResponse:
    """The lock of a build: a pylock.toml (PEP 751)."""
    build = revision_of(Actor.of(request).user, name, asked.build)
    return HttpResponse(build.lock, content_type="application/toml")


@routes.get(
    "/images/{name}/sbom",
    response={200: dict[str, Any], **ERRORS},
    summary="Get the SBOM",
    openapi_extra=of_type(attestations.CYCLONEDX, "object"),
)
@guarded(Action.SEE_IMAGES)
def get_sbom(request: HttpRequest, name: str, asked: Query[RevisionIn]) -> HttpResponse:
    """What is in a build's image, as the registry holds it too (CycloneDX 1.6)."""
    build = revision_of(Actor.of(request).user, name, asked.build)
    facts = attestations.recorded_facts(build, repository_of(build.image))
    return HttpResponse(attestations.sbom(facts), content_type=attestations.CYCLONEDX)


@routes.get(
    "/images/{name}/provenance",
    response={200: dict[str, Any], **ERRORS},
    summary="Get the provenance",
    openapi_extra=of_type(attestations.IN_TOTO, "object"),
)
@guarded(Action.SEE_IMAGES)
def get_provenance(request: HttpRequest, name: str, asked: Query[RevisionIn]) -> HttpResponse:
    """How a build's image came to be, as the registry holds it too (in-toto Statement, SLSA v1)."""
    build = revision_of(Actor.of(request).user, name, asked.build)
    facts = attestations.recorded_facts(build, repository_of(build.image))
    statement = attestations.provenance(facts, settings.VERSION)
    return HttpResponse(statement, content_type=attestations.IN_TOTO)
