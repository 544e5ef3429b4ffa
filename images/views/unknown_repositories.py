"""Decisions about repositories that no record knows, on the page Organization settings → Image Registry."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from images.operations import unknown_repositories
from images.queries.unknown_repositories import unknown_repository
from ri_platform.confirm import confirm
from workspaces.access import Action, Actor
from workspaces.guard import needs


@needs(Action.MANAGE_UNKNOWN_REPOSITORIES)
@require_POST
def adopt(request: HttpRequest, repository: str) -> HttpResponse:
    unknown_repositories.adopt_repository(Actor.of(request), repository)
    messages.success(request, f"The repository {repository} is being adopted.")
    return redirect("registry_status")


@needs(Action.MANAGE_UNKNOWN_REPOSITORIES)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, repository: str) -> HttpResponse:
    """The confirmation, as a dialog or a page of its own, and its *Delete repository* button."""
    if request.method == "POST":
        unknown_repositories.delete_unknown_repository(Actor.of(request), repository)
        messages.success(request, f"The repository {repository} is being deleted.")
        return redirect("registry_status")
    return confirm(
        request,
        title="Delete this repository?",
        verb="Delete repository",
        words="organization/_delete_repository_words.html",
        back=reverse("registry_status"),
        layout="layouts/organization.html",
        context={
            "section": "organization",
            "pane": "registry",
            "name": unknown_repository(repository).name,
        },
    )
