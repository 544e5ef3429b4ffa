"""Pages of alterations: the form, the preview of its changes, and the start of its build."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from images.forms.images import SpecForm, kept_files, spec_initial
from images.models import ManagedImage
from images.models.lease import WorkState
from images.operations import alterations
from images.queries.file_differences import file_differences
from images.queries.images import IMAGE
from images.queries.library_changes import changes, differences
from images.views.polling import page_or_part
from ri_platform.errors import DomainError
from ri_platform.forms import add_refusal, render_form
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace


@needs(Action.ALTER_IMAGE, of=IMAGE)
@require_http_methods(["GET", "POST"])
def alter(request: HttpRequest, workspace: Workspace, image: ManagedImage) -> HttpResponse:
    """What the image is to contain instead; the next page shows what that changes."""
    if request.method != "POST":
        form = SpecForm(initial=spec_initial(image), kept=kept_files(image))
    elif "check" in request.POST:
        form = SpecForm(request.POST, request.FILES).checked()
    else:
        form = SpecForm(request.POST, request.FILES)
    if form.is_bound and form.is_valid():
        try:
            alteration = alterations.propose_alteration(
                Actor.of(request),
                image,
                form.spec_beside(image),
                workspace=workspace,
                supplied=form.supply,
            )
        except DomainError as error:
            add_refusal(form, error)
        else:
            return redirect(
                "alteration",
                workspace_id=workspace.pk,
                name=image.name,
                alteration_id=alteration.pk,
            )
    context = {
        "workspace": workspace, "section": "settings", "pane": "images", "image": image, "form": form,
    }  # fmt: skip
    return render_form(request, "images/alter.html", context)


@needs(Action.ALTER_IMAGE, of=IMAGE)
@require_POST
def add_missing_packages(
    request: HttpRequest, workspace: Workspace, image: ManagedImage
) -> HttpResponse:
    """Propose the OS packages whose native libraries the image lacks; the next page shows what changes."""
    proposed = alterations.propose_missing_packages(Actor.of(request), image, workspace=workspace)
    return redirect(
        "alteration", workspace_id=workspace.pk, name=image.name, alteration_id=proposed.pk
    )


@needs(Action.ALTER_IMAGE, of=IMAGE)
@require_GET
def alteration(
    request: HttpRequest, workspace: Workspace, image: ManagedImage, alteration_id: int
) -> HttpResponse:
    """What an alteration changes, once it is resolved, and the button that builds it."""
    proposed = alterations.alteration_of(image, alteration_id)
    current = proposed.image.current_build
    resolved = proposed.state == WorkState.SUCCEEDED
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "images",
        "image": proposed.image,
        "alteration": proposed,
        "changes": changes(current.lock if current else "", proposed.lock) if resolved else [],
        "file_differences": file_differences(proposed) if resolved else [],
        "settings_changes": differences(
            proposed.image.spec.run_time.by_title(), proposed.spec.run_time.by_title()
        ),
        "resolved": resolved,
        "failed": proposed.state == WorkState.FAILED,
        "poll": proposed.is_active,
    }
    return page_or_part(request, "images/alteration.html", "images/_alteration.html", context)


@needs(Action.ALTER_IMAGE, of=IMAGE)
@require_POST
def build_alteration(
    request: HttpRequest, workspace: Workspace, image: ManagedImage, alteration_id: int
) -> HttpResponse:
    proposed = alterations.alteration_of(image, alteration_id)
    alterations.alter_image(Actor.of(request), proposed, workspace=workspace)
    return redirect("image", workspace_id=workspace.pk, name=image.name)
