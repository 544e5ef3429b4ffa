"""Downloads of an image's current build: its lock, SBOM and provenance."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from images import attestations
from images.models import Build
from images.queries.images import image_named
from images.references import repository_of
from ri_platform.errors import NotFound
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace


@require_GET
@needs(Action.SEE_IMAGES)
def lock(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """The current build's lock as a file to keep (PEP 751)."""
    build = current_build(request, name)
    return file(f"pylock.{name}.toml", build.lock.encode("utf-8"), "text/plain; charset=utf-8")


@require_GET
@needs(Action.SEE_IMAGES)
def bill_of_materials(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """The current image's SBOM, as the registry holds it too (CycloneDX 1.6)."""
    build = current_build(request, name)
    facts = attestations.recorded_facts(build, repository_of(build.image))
    return file(f"{name}.cdx.json", attestations.sbom(facts), attestations.CYCLONEDX)


@require_GET
@needs(Action.SEE_IMAGES)
def origin(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """The current image's provenance, as the registry holds it too (SLSA v1)."""
    build = current_build(request, name)
    facts = attestations.recorded_facts(build, repository_of(build.image))
    statement = attestations.provenance(facts, settings.VERSION)
    return file(f"{name}.provenance.json", statement, attestations.IN_TOTO)


def current_build(request: HttpRequest, name: str) -> Build:
    image = image_named(Actor.of(request).user, name)
    if image.current_build is None:
        raise NotFound(
            "No build of this image has succeeded yet, so it has no lock, SBOM or provenance."
        )
    return image.current_build


def file(name: str, content: bytes, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
