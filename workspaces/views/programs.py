"""The page *SDK, CLI and API*: access for programs by command line, Python and REST."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from ri_platform.sdk_wheel import sdk_wheel
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace

# The number of workspaces that are named; the page *Workspaces* has all.
NAMED = 5


@needs(Action.SEE_WORKSPACES)
@require_GET
def programs(request: HttpRequest) -> HttpResponse:
    """Commands with this instance's own address, to be copied."""
    found = Workspace.objects.visible_to(Actor.of(request)).order_by("name")
    workspaces = list(found[: NAMED + 1])
    context = {
        "section": "programs",
        "token_workspaces": workspaces[:NAMED],
        "more_workspaces": len(workspaces) > NAMED,
        **addresses(request),
    }
    return render(request, "workspaces/programs.html", context)


def addresses(request: HttpRequest) -> dict[str, Any]:
    """This instance's address as the reader's browser has it, and its SDK's."""
    wheel = reverse("sdk_wheel", args=[sdk_wheel().name])
    return {
        "instance": request.build_absolute_uri("/").rstrip("/"),
        "sdk": request.build_absolute_uri(wheel),
    }
