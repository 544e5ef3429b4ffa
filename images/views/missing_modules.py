"""The page about a module that a model's run could not import."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from images.models import ManagedImage, MLModel
from images.operations import alterations
from images.operations.ml_models import MODEL
from images.queries.images import IMAGE
from images.queries.missing_modules import explain_missing_module
from images.requirement_files.configured import parse_pip_requirements
from ri_platform.errors import Invalid
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.guard import needs
from workspaces.models import Workspace


@require_GET
@needs(Action.SEE_MODELS, of=MODEL)
def missing_module(request: HttpRequest, workspace: Workspace, model: MLModel) -> HttpResponse:
    """Which library brings the module, which images have it, and the way to add it to this one."""
    actor = Actor.of(request)
    typed = request.GET.get("module", "").strip()[:1000].replace("\x00", "")
    found, error = None, ""
    if typed:
        try:
            found = explain_missing_module(actor.user, model, typed)
        except Invalid as refused:
            error = str(refused)
    image = found.alterable if found else None
    context = {
        "workspace": workspace,
        "section": "models",
        "model": model,
        "typed": typed,
        "error": error,
        "found": found,
        "image": image,
        "may_alter": image is not None and allows(actor, Action.ALTER_IMAGE, image),
        "may_swap": allows(actor, Action.SWAP_IMAGE, workspace),
        "refusal": TABLE[Action.ALTER_IMAGE].refusal,
    }
    return render(request, "ml_models/missing_module.html", context, status=422 if error else 200)


@needs(Action.ALTER_IMAGE, of=IMAGE)
@require_POST
def propose_library(
    request: HttpRequest, workspace: Workspace, image: ManagedImage
) -> HttpResponse:
    """Propose the image with one more library; the next page shows what changes."""
    libraries = parse_pip_requirements(request.POST.get("library", "")[:300])
    if not libraries:
        raise Invalid("Name the library to add.")
    proposed = alterations.propose_library(
        Actor.of(request), image, libraries[0], workspace=workspace
    )
    return redirect(
        "alteration", workspace_id=workspace.pk, name=image.name, alteration_id=proposed.pk
    )
