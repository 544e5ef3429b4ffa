"""Forms whose input an operation may refuse."""

from __future__ import annotations

from django.forms import BaseForm

from ri_platform.errors import DomainError


def add_refusal(form: BaseForm, error: DomainError) -> None:
    """Show why the operation refused, at the field that the error names or else above the form."""
    form.add_error(error.field if error.field in form.fields else None, str(error))
