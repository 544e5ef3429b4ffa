"""The buttons of an image's page: rebuild, build from source, cancel and roll back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from images.models import ManagedImage
from images.operations import builds
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace


@needs(Action.REBUILD_IMAGE)
@require_POST
def rebuild(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    builds.rebuild_image(Actor.of(request), image, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.BUILD_FROM_SOURCE)
@require_POST
def build_from_source(
    request: HttpRequest, workspace: Workspace, image: ManagedImage
) -> HttpResponse:
    builds.build_from_source(Actor.of(request), image, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.CANCEL_BUILD)
@require_POST
def cancel(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    build = builds.cancel_build(Actor.of(request), image, workspace=workspace)
    messages.success(request, f"Build {build.number} was cancelled.")
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.ROLL_BACK_IMAGE)
@require_POST
def roll_back(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    number = request.POST.get("build", "")
    builds.roll_back_image(Actor.of(request), image, number, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)
