"""Names are one line without control characters, whatever form takes them."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
from django import forms

from images.forms import images as image_forms
from images.models import MLModel
from ri_platform.text import column_length
from tests.cast import Cast
from workspaces import forms as workspace_forms
from workspaces.models import Workspace
from workspaces.sign_in import forms as sign_in_forms

MODULES: list[ModuleType] = [image_forms, workspace_forms, sign_in_forms]
FIELDS = {
    f"{form.__name__}.{name}": field
    for module in MODULES
    for _, form in inspect.getmembers(module, inspect.isclass)
    if issubclass(form, forms.BaseForm) and form.__module__ == module.__name__
    for name, field in form.base_fields.items()  # type: ignore[attr-defined]
    if isinstance(field, forms.CharField)
    and not isinstance(field, forms.EmailField)
    and not isinstance(field.widget, forms.Textarea | forms.HiddenInput | forms.PasswordInput)
}


@pytest.mark.parametrize(
    "character", ["\t", "\r", "\n", "\0", "\x85", "\u2028", "\u202e"], ids=ascii
)
def test_a_forms_line_refuses_control_characters(character: str) -> None:
    assert not [name for name, field in FIELDS.items() if accepts(field, f"a{character}b")]


def accepts(field: forms.CharField, text: str) -> bool:
    try:
        field.clean(text)
    except forms.ValidationError:
        return False
    return True


def test_a_console_form_tells_it_beside_the_field(cast: Cast) -> None:
    address = f"/workspaces/{cast.workspace.pk}/settings"
    answer = cast.client(cast.manager).post(address, {"name": "a\rb", "description": ""})
    assert answer.status_code == 422
    assert b"It has a control character" in answer.content
    assert not Workspace.objects.filter(name__startswith="a").exists()


@pytest.mark.slow
def test_a_name_may_be_in_any_script(cast: Cast) -> None:
    address = f"/workspaces/{cast.workspace.pk}/settings"
    for name in ("Prévisions", "予測", "نموذج", "Churn 🚀 (EU)"):
        answer = cast.client(cast.manager).post(address, {"name": name, "description": "a\tb\nc"})
        assert answer.status_code == 302
        assert Workspace.objects.get(pk=cast.workspace.pk).name == name


def test_a_limit_is_its_columns() -> None:
    assert column_length(MLModel, "name") == 120
    with pytest.raises(ValueError, match=r"MLModel\.requirements has no limit"):
        column_length(MLModel, "requirements")
