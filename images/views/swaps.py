"""Pages that swap a model's image: the picker, the preview of a choice, and the swap."""

from __future__ import annotations

import re

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from images.forms.images import ExternalImageForm, FittingImageForm
from images.models import AssignmentState, Build, ManagedImage, MLModel, managed_image
from images.operations import swaps
from images.operations.ml_models import MODEL
from images.operations.runtime_image import pulled_build
from images.operations.swaps import Choice, ExternalChoice, ManagedChoice
from images.queries.chosen_images import default_image, image_to_run_on, own_image
from images.queries.comparison import versions_in
from images.queries.images import image_named
from images.queries.kept_builds import kept_builds
from images.queries.library_changes import differences
from images.queries.matching import match_images, requirements_on_build, wanted_by_model
from ri_platform.errors import DomainError
from ri_platform.forms import add_refusal, render_form
from workspaces.access import Action, Actor
from workspaces.guard import needs
from workspaces.models import Workspace

SHOWN = 20
BUILDS = 20


@require_GET
@needs(Action.SWAP_IMAGE, of=MODEL)
def picker(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    """Images by how well they have what the model needs."""
    search = request.GET.get("q", "").strip()[:128]
    found = (
        match_images(Actor.of(request).user, wanted_by_model(model), name=search, limit=SHOWN + 1)
        if settings.IMAGE_REGISTRY_ENABLED
        else []
    )
    context = {
        **common(workspace, model),
        "search": search,
        "matches": found[:SHOWN],
        "present": image_to_run_on(model),
        "own": own_image(model),
        "default": default_image(workspace.pk),
        "more": len(found) > SHOWN,
        "external_allowed": settings.ALLOW_EXTERNAL_CUSTOM_IMAGES,
    }
    return render(request, "ml_models/swap.html", context)


@require_http_methods(["GET", "POST"])
@needs(Action.SWAP_IMAGE, of=MODEL)
def swap_to_managed_image(
    request: HttpRequest, workspace: Workspace, model: MLModel, name: str
) -> HttpResponse:
    """What changes with a managed image, or with one build of it; and *Swap image*."""
    if request.method == "POST":
        return swap_and_redirect(
            request, model, ManagedChoice(name, request.POST.get("build") or None)
        )
    image = image_named(Actor.of(request).user, name)
    pinned = chosen_build(image, request.GET.get("build", ""))
    present = image_to_run_on(model)
    before = pulled_build(present) if present else None
    after = pinned or image.current_build
    context = {
        **common(workspace, model),
        "image": image,
        "pinned": pinned,
        "after": after,
        "before": before,
        "present": present,
        "requirements": requirements_on_build(model, after),
        "changes": differences(versions_in(before), versions_in(after)),
        "builds": kept_builds(image)[:BUILDS],
    }
    return render(request, "ml_models/swap_managed.html", context)


@require_http_methods(["GET", "POST"])
@needs(Action.SWAP_IMAGE, of=MODEL)
def swap_to_external_image(
    request: HttpRequest, workspace: Workspace, model: MLModel
) -> HttpResponse:
    if not settings.ALLOW_EXTERNAL_CUSTOM_IMAGES:
        raise swaps.ExternalImagesNotAllowed
    form = ExternalImageForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        choice = ExternalChoice(form.cleaned_data["reference"], form.cleaned_data["pull_secret"])
        try:
            return swap_and_redirect(request, model, choice)
        except DomainError as error:
            add_refusal(form, error)
    context = {**common(workspace, model), "form": form}
    return render_form(request, "ml_models/swap_external.html", context)


@require_http_methods(["GET", "POST"])
@needs(Action.SWAP_IMAGE, of=MODEL)
def build(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    """*Build one that fits*: an image with just what the model needs, swapped to when it is READY."""
    initial = {"name": suggested_name(model)}
    form = FittingImageForm(request.POST or None, model=model, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = swaps.build_one_that_fits(
                Actor.of(request),
                model,
                form.cleaned_data["name"],
                indexes=form.wanted_indexes,
                allow_prereleases=form.wants_prereleases,
            )
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, f"{made.image_name} is being built for {model.name}.")
            return redirect("model", workspace_id=workspace.pk, model_id=model.pk)
    context = {
        **common(workspace, model),
        "form": form,
        "requirements": requirements_on_build(model, None),
    }
    return render_form(request, "ml_models/swap_build.html", context)


@needs(Action.SWAP_IMAGE, of=MODEL)
@require_POST
def back(
    request: HttpRequest, workspace: Workspace, model: MLModel, assignment_id: int
) -> HttpResponse:
    return swap_and_redirect(request, model, swaps.past_choice(model, assignment_id))


@needs(Action.SWAP_IMAGE, of=MODEL)
@require_POST
def to_default(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    swaps.swap_to_default(Actor.of(request), model)
    messages.success(request, f"{model.name} runs on the default image of {workspace.name} now.")
    return redirect("model", workspace_id=workspace.pk, model_id=model.pk)


@needs(Action.SWAP_IMAGE, of=MODEL)
@require_POST
def stop(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    swaps.stop_waiting(Actor.of(request), model)
    messages.success(request, f"{model.name} stays on the image that it runs on.")
    return redirect("model", workspace_id=workspace.pk, model_id=model.pk)


# --- what they share ----------------------------------------------------------------------------------------


def common(workspace: Workspace, model: MLModel) -> dict[str, object]:
    return {"workspace": workspace, "section": "models", "model": model}


def swap_and_redirect(request: HttpRequest, model: MLModel, choice: Choice) -> HttpResponse:
    """Swap, and go back to the model's page with what has happened."""
    assignment = swaps.swap_image(Actor.of(request), model, choice)
    waits = assignment.state == AssignmentState.WAITING
    messages.success(
        request,
        f"{model.name} swaps to {assignment.label} as soon as it is ready."
        if waits
        else f"{model.name} runs on {assignment.label} now.",
    )
    return redirect("model", workspace_id=model.workspace_id, model_id=model.pk)


def chosen_build(image: ManagedImage, number: str) -> Build | None:
    """The successful build to pin to; None follows the current one. Raises `NotFound`."""
    return image.revision_numbered(number) if number else None


def suggested_name(model: MLModel) -> str:
    """The model's name as an image could have it: `Churn 2026 (EU)` → `churn-2026-eu`."""
    words = re.findall(r"[a-z0-9]+", model.name.lower())
    name = "-".join(words)[:128].strip("-")
    return name if managed_image.is_valid_name(name) else f"model-{name}".strip("-")[:128]
