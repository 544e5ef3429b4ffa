"""The page Settings → General → Default image of a workspace."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from images.forms.default_images import DefaultImageForm
from images.models import MLModel
from images.operations import default_image as operations
from images.queries import chosen_images, suggestions
from ri_platform.errors import DomainError
from ri_platform.forms import add_refusal, render_form
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace


@require_http_methods(["GET", "POST"])
@needs(Action.SET_DEFAULT_IMAGE)
def default_image(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The choice of a managed or an external image, and *Clear the default*."""
    actor = Actor.of(request)
    if "clear" in request.POST:
        operations.clear_default_image(actor, workspace)
        messages.success(request, f"{workspace.name} has no default image any more.")
        return redirect("settings", workspace_id=workspace.pk)
    present = chosen_images.default_image(workspace.pk)
    form = DefaultImageForm(request.POST if request.method == "POST" else None, present=present)
    if request.method == "POST" and form.is_valid():
        try:
            made = operations.set_default_image(actor, workspace, form.choice)
        except DomainError as error:
            # The name, and the number after it, are typed into one field.
            error.field = "image" if error.field in ("", "name", "build") else error.field
            add_refusal(form, error)
        else:
            messages.success(request, f"{made.label} is the default image of {workspace.name} now.")
            return redirect("settings", workspace_id=workspace.pk)
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "general",
        "form": form,
        "default": present,
        "followers": MLModel.objects.without_own_image().filter(workspace=workspace).count(),
        "names": suggestions.images(actor.user, "") if settings.IMAGE_REGISTRY_ENABLED else [],
    }
    return render_form(request, "workspaces/default_image.html", context)
