"""Pages with a form, whose input the form or an operation may refuse."""

from __future__ import annotations

from typing import Any

from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ri_platform.errors import DomainError


def add_refusal(form: BaseForm, error: DomainError) -> None:
    """Show why the operation refused, at the field that the error names or else above the form."""
    form.add_error(error.field if error.field in form.fields else None, str(error))


def render_form(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The page of `context["form"]`; its status is 422 if the input was refused."""
    return render(request, template, context, status=422 if context["form"].errors else 200)
