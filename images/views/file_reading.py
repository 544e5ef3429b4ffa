"""What a form's text and files ask for, told while they are given; nothing is kept."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from images.forms import SpecForm
from images.queries import capabilities
from workspaces.access import Action
from workspaces.guard import needs
from workspaces.models import Workspace


@require_POST
@needs(Action.SEE_IMAGES)
def read_files(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The table of what was read; after an upload also the files as texts, which are posted from then on."""
    capabilities.require_enabled()
    form = SpecForm(request.POST, request.FILES).checked()
    context = {
        "workspace": workspace,
        "form": form,
        "swapped": True,
        "uploaded": bool(request.FILES),
    }
    return render(request, "images/_reading_answer.html", context)
