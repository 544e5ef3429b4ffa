"""REST endpoints for the files of a build: lock, SBOM and provenance."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import Field

from images import attestations
from images.queries.comparison import revision_of
from images.references import repository_of
from ri_platform.api import ERRORS, Camel, router
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded

routes = router("Lock, SBOM and provenance", "The files of a build: lock, SBOM and provenance.")


class RevisionIn(Camel):
    """The build to return."""

    build: int | None = Field(None, ge=1, le=2_000_000_000)
    """The number of a build that succeeded; the current build if absent."""


def file_answer(media_type: str, kind: str, description: str, example: Any) -> dict[str, Any]:
    """The OpenAPI description of an answer that is a file instead of JSON."""
    content = {media_type: {"schema": {"type": kind}, "example": example}}
    return {"responses": {200: {"description": description, "content": content}}}


@routes.get(
    "/images/{name}/lock",
    response={200: str, **ERRORS},
    summary="Get the lock",
    openapi_extra=file_answer(
        "application/toml",
        "string",
        "A pylock.toml.",
        'lock-version = "1.0"\n\n[[packages]]\nname = "pandas"\nversion = "2.3.3"\n',
    ),
)
@guarded(Action.SEE_IMAGES)
def get_image_lock(request: HttpRequest, name: str, asked: Query[RevisionIn]) -> HttpResponse:
    """Returns the lock of a build: a pylock.toml (PEP 751)."""
    build = revision_of(Actor.of(request).user, name, asked.build)
    return HttpResponse(build.lock, content_type="application/toml")


@routes.get(
    "/images/{name}/sbom",
    response={200: dict[str, Any], **ERRORS},
    summary="Get the SBOM",
    openapi_extra=file_answer(
        attestations.CYCLONEDX,
        "object",
        "A CycloneDX document.",
        {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []},
    ),
)
@guarded(Action.SEE_IMAGES)
def get_image_sbom(request: HttpRequest, name: str, asked: Query[RevisionIn]) -> HttpResponse:
    """Returns the contents of a build's image (CycloneDX 1.6). The registry has the same document."""
    build = revision_of(Actor.of(request).user, name, asked.build)
    facts = attestations.recorded_facts(build, repository_of(build.image))
    return HttpResponse(attestations.sbom(facts), content_type=attestations.CYCLONEDX)


@routes.get(
    "/images/{name}/provenance",
    response={200: dict[str, Any], **ERRORS},
    summary="Get the provenance",
    openapi_extra=file_answer(
        attestations.IN_TOTO,
        "object",
        "An in-toto Statement.",
        {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "https://slsa.dev/provenance/v1",
        },
    ),
)
@guarded(Action.SEE_IMAGES)
def get_image_provenance(request: HttpRequest, name: str, asked: Query[RevisionIn]) -> HttpResponse:
    """Returns how a build's image was made (in-toto, SLSA v1). The registry has the same document."""
    build = revision_of(Actor.of(request).user, name, asked.build)
    facts = attestations.recorded_facts(build, repository_of(build.image))
    statement = attestations.provenance(facts, settings.VERSION)
    return HttpResponse(statement, content_type=attestations.IN_TOTO)
