"""Removal of an image, its restoration, and its permanent deletion."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from images.operations import removal
from images.queries import capabilities
from images.queries.images import image_named
from images.queries.usage import use_of
from ri_platform.errors import Invalid
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace
from workspaces.views.confirm import confirm_in_pane


@needs(Action.REMOVE_IMAGE)
@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """The confirmation, as a dialog or a page of its own, and its *Remove image* button."""
    capabilities.require_enabled()
    actor = Actor.of(request)
    error = ""
    if request.method == "POST":
        typed = request.POST.get("name", "")
        try:
            removal.remove_image(actor, name, typed_name=typed, workspace=workspace)
        except Invalid as refused:
            error = str(refused)
        else:
            messages.success(request, f"The managed image {name} was removed.")
            return redirect("images", workspace_id=workspace.pk)
    image = image_named(actor.user, name)
    use = use_of(image, actor)
    return confirm_in_pane(
        request,
        workspace,
        "images",
        title="Remove this image?",
        verb="Remove image",
        words="images/_remove_words.html",
        typed=image.name if use else "",
        error=error,
        image=image,
        use=use,
        grace=settings.REMOVAL_GRACE,
    )


@needs(Action.RESTORE_IMAGE)
@require_POST
def restore(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    removal.restore_image(Actor.of(request), name, workspace=workspace)
    messages.success(request, f"The managed image {name} was restored.")
    return redirect("image", workspace_id=workspace.pk, name=name)


@needs(Action.REMOVE_IMAGE)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """The confirmation that a removed image shall not be restored any more, and its *Delete image* button."""
    actor = Actor.of(request)
    if request.method == "POST":
        removal.delete_image(actor, name, workspace=workspace)
        messages.success(request, f"The managed image {name} is being deleted.")
        return redirect("images", workspace_id=workspace.pk)
    return confirm_in_pane(
        request,
        workspace,
        "images",
        title="Delete this image for good?",
        verb="Delete image",
        words="images/_delete_words.html",
        name=name,
    )
