"""The preview of a form's text and files while they are entered; nothing is stored."""

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
    form = form_class(request.POST, request.FILES).checked()
    context = {
        "form": form,
        # What somebody ticks meanwhile is not swapped from under them.
        "sources_changed": isinstance(form, SpecForm)
        and form.said_before(request.POST) != form.said,
        "of_model": of_model,
        "uploaded": bool(request.FILES),
    }
    return render(request, "images/_reading_answer.html", context)
