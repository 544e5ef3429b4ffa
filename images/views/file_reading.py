"""What a form's text and files ask for, told while they are given; nothing is kept."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from images.forms.images import ModelForm, SpecForm
from workspaces.access import Action
from workspaces.guard import needs
from workspaces.models import Workspace


@require_POST
@needs(Action.SEE_IMAGES)
def read_files(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The table of what was read; after an upload also the files as texts, which are posted from then on."""
    of_model = "requirements" in request.POST
    form_class = ModelForm if of_model else SpecForm
    context = {
        "form": form_class(request.POST, request.FILES).checked(),
        "of_model": of_model,
        "uploaded": bool(request.FILES),
    }
    return render(request, "images/_reading_answer.html", context)
