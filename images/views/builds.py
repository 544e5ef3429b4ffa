"""The buttons of an image's page: rebuild, build from source, cancel, roll back, channels, imports."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from images.models import ManagedImage
from images.operations import builds, channels, import_checks
from images.queries.images import IMAGE
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace


@needs(Action.REBUILD_IMAGE, of=IMAGE)
@require_POST
def rebuild(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    builds.rebuild_image(Actor.of(request), image, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.BUILD_FROM_SOURCE, of=IMAGE)
@require_POST
def build_from_source(
    request: HttpRequest, workspace: Workspace, image: ManagedImage
) -> HttpResponse:
    builds.build_from_source(Actor.of(request), image, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.CANCEL_BUILD, of=IMAGE)
@require_POST
def cancel(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    build = builds.cancel_build(Actor.of(request), image, workspace=workspace)
    messages.success(request, f"Build {build.number} was cancelled.")
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.SET_CHANNEL, of=IMAGE)
@require_POST
def set_channel(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    channel, number = request.POST.get("channel", "").strip(), request.POST.get("build", "")
    tag = channels.set_channel(Actor.of(request), image, channel, number, workspace=workspace)
    messages.success(request, f"{tag.name} points at build {tag.build.number}.")
    return redirect("image_revisions", workspace_id=workspace.pk, name=image.name)


@needs(Action.ROLL_BACK_IMAGE, of=IMAGE)
@require_POST
def roll_back(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    number = request.POST.get("build", "")
    builds.roll_back_image(Actor.of(request), image, number, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.CHECK_IMPORTS, of=IMAGE)
@require_POST
def check_imports(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    import_checks.check_imports(Actor.of(request), image, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)


@needs(Action.SET_IMPORT_POLICY, of=IMAGE)
@require_POST
def set_import_policy(
    request: HttpRequest, workspace: Workspace, image: ManagedImage
) -> HttpResponse:
    policy = request.POST.get("import_policy", "")
    import_checks.set_import_policy(Actor.of(request), image, policy, workspace=workspace)
    messages.success(request, "The import policy holds from the next build on.")
    return redirect("image", workspace_id=workspace.pk, name=image.name)
