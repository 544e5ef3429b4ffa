"""The page that changes an image's description."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from images.forms.images import DescriptionForm
from images.models import ManagedImage
from images.operations.images import describe_image
from images.queries.images import IMAGE
from ri_platform.forms import render_form
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace


@needs(Action.ALTER_IMAGE, of=IMAGE)
@require_http_methods(["GET", "POST"])
def describe(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    """A form of one field; nothing is built."""
    form = DescriptionForm(request.POST or None, initial={"description": image.description})
    if request.method == "POST" and form.is_valid():
        describe_image(
            Actor.of(request), image, form.cleaned_data["description"], workspace=workspace
        )
        return redirect("image", workspace_id=workspace.pk, name=image.name)
    context = {
        "workspace": workspace, "section": "settings", "pane": "images", "image": image, "form": form,
    }  # fmt: skip
    return render_form(request, "images/describe.html", context)
