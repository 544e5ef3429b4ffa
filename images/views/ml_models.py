"""A workspace's models: the list, and a model's page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from images.forms.images import ModelForm
from images.models import Assignment, AssignmentState, ChosenImage, MLModel
from images.operations import ml_models
from images.operations.ml_models import MODEL
from images.operations.runtime_image import Usability, pulled_build, resolve_chosen, usability
from images.queries import progress
from images.queries.base_images import newest_python
from images.queries.chosen_images import default_image
from images.queries.drifts import drift_of, drifts_by_build
from images.queries.matching import requirements_on_build
from images.views.polling import page_or_part
from ri_platform.confirm import confirm
from ri_platform.errors import DomainError
from ri_platform.forms import add_refusal, render_form
from ri_platform.pages import page_asked_for
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.guard import needs
from workspaces.models import Workspace

PAGE_SIZE = 25
HISTORY = 50


@require_GET
@needs(Action.SEE_MODELS)
def model_list(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    actor = Actor.of(request)
    search = request.GET.get("q", "").strip()[:120]
    found = ml_models.list_models(workspace, search)
    page = page_asked_for(found, ml_models.ORDER, PAGE_SIZE, request.GET)
    default = default_image(workspace.pk)
    rows = [
        (model, [(assignment, usability(assignment)) for assignment in model.assignments.all()])
        for model in page.rows
    ]
    pulled = {
        assignment.pk: pulled_build(assignment) for _, present in rows for assignment, _ in present
    }
    drifts = drifts_by_build(build.pk for build in pulled.values() if build)
    context = {
        "workspace": workspace,
        "section": "models",
        "drifts": {
            key: drifts[build.pk] for key, build in pulled.items() if build and build.pk in drifts
        },
        "search": search,
        "page": page,
        "rows": rows,
        "default": default,
        "default_standing": usability(default) if default else None,
        "may_create": allows(actor, Action.CREATE_MODEL, workspace),
        "refusal": TABLE[Action.CREATE_MODEL].refusal,
        "poll": any(
            assignment.state == AssignmentState.WAITING or stands == Usability.BUILDING
            for _, present in rows
            for assignment, stands in present
        ),
    }
    return page_or_part(request, "ml_models/models.html", "ml_models/_list.html", context)


@require_http_methods(["GET", "POST"])
@needs(Action.CREATE_MODEL)
def new(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    form = ModelForm(
        request.POST or None,
        request.FILES or None,
        initial={"python_version": newest_python("all") or "3.11"},
    )
    if "check" in request.POST:
        form = form.checked()
    if form.is_valid():
        try:
            model = ml_models.create_model(Actor.of(request), workspace, form.command())
        except DomainError as error:
            add_refusal(form, error)
        else:
            # A model without an image is of no use yet.
            page = "model" if default_image(workspace.pk) else "swap"
            return redirect(page, workspace_id=workspace.pk, model_id=model.pk)
    context = {"workspace": workspace, "section": "models", "form": form}
    return render_form(request, "ml_models/new.html", context)


@require_GET
@needs(Action.SEE_MODELS, of=MODEL)
def detail(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    actor = Actor.of(request)
    history = list(Assignment.objects.with_image().filter(model=model)[: HISTORY + 2])
    current = next((item for item in history if item.state == AssignmentState.CURRENT), None)
    waiting = next((item for item in history if item.state == AssignmentState.WAITING), None)
    default = default_image(workspace.pk)
    runs_on = current or default
    stands = usability(runs_on) if runs_on else None
    build = pulled_build(runs_on) if runs_on else None
    context = {
        "workspace": workspace,
        "section": "models",
        "model": model,
        "current": current,
        "default": default,
        "runs_on": runs_on,
        "asks": (model.asks.over(default.asks) if default else model.asks).by_title(),
        "waiting": waiting,
        "waiting_build": newest_build(
            waiting or (runs_on if stands == Usability.BUILDING else None)
        ),
        "standing": stands,
        "build": build,
        "drift": drift_of(build),
        "resolved": resolve_chosen(runs_on) if runs_on and stands == Usability.USABLE else None,
        "requirements": requirements_on_build(model, build),
        "history": [item for item in history if item.state == AssignmentState.PAST][:HISTORY],
        "may_swap": allows(actor, Action.SWAP_IMAGE, workspace),
        "may_edit": allows(actor, Action.EDIT_MODEL, workspace),
        "refusal": TABLE[Action.SWAP_IMAGE].refusal,
        "poll": waiting is not None or stands == Usability.BUILDING,
    }
    return page_or_part(request, "ml_models/model.html", "ml_models/_model.html", context)


def newest_build(chosen: ChosenImage | None) -> tuple[object, list[progress.Step]] | None:
    """The build that a model waits for, with its steps."""
    if chosen is None or chosen.image is None:
        return None
    build = chosen.image.builds.select_related("base_image").first()
    return (build, progress.steps(build)) if build else None


@require_http_methods(["GET", "POST"])
@needs(Action.EDIT_MODEL, of=MODEL)
def edit(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    initial = {
        field: getattr(model, field)
        for field in ("name", "description", "python_version", "requirements")
    }
    form = ModelForm(request.POST or None, request.FILES or None, initial=initial)
    if "check" in request.POST:
        form = form.checked()
    if form.is_valid():
        try:
            ml_models.edit_model(Actor.of(request), model, form.command())
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, "The model was saved.")
            return redirect("model", workspace_id=workspace.pk, model_id=model.pk)
    context = {"workspace": workspace, "section": "models", "form": form, "model": model}
    return render_form(request, "ml_models/edit.html", context)


@require_http_methods(["GET", "POST"])
@needs(Action.REMOVE_MODEL, of=MODEL)
def remove(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    if request.method == "POST":
        ml_models.remove_model(Actor.of(request), model)
        messages.success(request, f"The model {model.name} was removed.")
        return redirect("models", workspace_id=workspace.pk)
    return confirm(
        request,
        title="Remove this model?",
        verb="Remove model",
        words="ml_models/_remove_words.html",
        back=reverse("model", args=[workspace.pk, model.pk]),
        layout="layouts/app.html",
        context={"workspace": workspace, "section": "models", "model": model},
    )
