"""The page that compares two images, or two revisions of one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from images.models import Build
from images.queries import capabilities, suggestions
from images.queries.comparison import Comparison, revision_named
from ri_platform.errors import NotFound
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import User, Workspace

# Without JavaScript the field offers so many names, in their order.
LISTED = 200


@require_GET
@needs(Action.SEE_IMAGES)
def compare(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Both sides stand in the address as `name` or `name:build-<number>`."""
    capabilities.require_enabled()
    user = Actor.of(request).user
    typed = {side: request.GET.get(side, "").strip()[:200] for side in ("a", "b")}
    found: dict[str, Build] = {}
    errors: dict[str, str] = {}
    for side, text in typed.items():
        if text:
            try:
                found[side] = revision_named(user, text)
            except NotFound as error:
                errors[side] = error.message
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "images",
        "typed": typed,
        "errors": errors,
        "names": suggestions.images(user, "", most=LISTED),
        "comparison": Comparison(found["a"], found["b"]) if len(found) == 2 else None,
        "asked": {side: asked_for(build) for side, build in found.items()},
    }
    return render(request, "images/compare.html", context, status=422 if errors else 200)


def asked_for(build: Build) -> list[str]:
    """What the build was to contain, line by line."""
    return [
        *map(str, build.spec.pip_requirements),
        *map(str, build.spec.os_packages),
    ]


@require_GET
@needs(Action.SEE_IMAGES)
def suggest_images(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Options for either field, whichever sends what is typed."""
    user: User = Actor.of(request).user
    text = request.GET.get("a", request.GET.get("b", ""))
    return render(
        request, "parts/suggestions.html", {"suggestions": suggestions.images(user, text)}
    )
