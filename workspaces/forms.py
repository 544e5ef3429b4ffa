"""Forms: text in, frozen commands out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator

from ri_platform.address import client_address
from ri_platform.errors import TooManyRequests
from workspaces.limits import count_failure, refuse_after_failures
from workspaces.models import InstanceRole, Workspace, WorkspaceRole
from workspaces.operations import EditWorkspace

TOO_MANY = "Too many attempts with a wrong password came from your address."


class SignInForm(AuthenticationForm):
    """Django's form in the console's dress."""

    error_messages = {
        "invalid_login": "The username or the password is wrong. Both are case-sensitive.",
        "inactive": "This account is deactivated. Ask your organization administrator.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"

    def clean(self) -> dict[str, Any]:
        """After some failures an address has to wait with this account, and after more with any.

        By account alone somebody could keep its owner out.
        """
        address = client_address(self.request) if self.request else None
        username = self.cleaned_data.get("username", "")
        limits = {
            f"signin {address} {username}": settings.MAX_FAILED_SIGN_INS,
            f"signin {address}": settings.MAX_FAILED_AUTHENTICATIONS,
        }
        try:
            for key, limit in limits.items():
                refuse_after_failures(key, limit, TOO_MANY)
        except TooManyRequests as error:
            raise ValidationError(str(error), code="too_many") from error
        try:
            return super().clean()
        except ValidationError:
            for key, limit in limits.items():
                count_failure(key, limit, TOO_MANY)
            raise


class ChoosePasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # no subscript at run time
    """Django's form in the console's dress."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"


class WorkspaceForm(forms.Form):
    name = forms.CharField(
        max_length=Workspace._meta.get_field("name").max_length,
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )
    description = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
    )

    def command(self) -> EditWorkspace:
        return EditWorkspace(self.cleaned_data["name"], self.cleaned_data["description"])


class MemberForm(forms.Form):
    role = forms.ChoiceField(
        choices=WorkspaceRole.choices, widget=forms.Select(attrs={"class": "form-select"})
    )


class AccountForm(forms.Form):
    username = forms.CharField(
        max_length=150,
        widget=forms.TextInput(
            attrs={"class": "form-control", "autocomplete": "off", "autocapitalize": "none"}
        ),
    )
    email = forms.EmailField(
        label="E-mail", required=False, widget=forms.EmailInput(attrs={"class": "form-control"})
    )
    role = forms.ChoiceField(
        choices=InstanceRole.choices,
        initial=InstanceRole.BASIC,
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text="A basic user sees nothing until made a member of a workspace.",
    )


class AccountRoleForm(forms.Form):
    role = forms.ChoiceField(
        choices=InstanceRole.choices, widget=forms.Select(attrs={"class": "form-select"})
    )


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
        help_text="What will use it, for example nightly-training.",
    )
    expiry_days = forms.IntegerField(
        label="Days until it expires",
        min_value=1,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        days = self.fields["expiry_days"]
        days.initial = settings.API_TOKEN_DAYS
        days.validators.append(MaxValueValidator(settings.API_TOKEN_DAYS))
        days.widget.attrs["max"] = settings.API_TOKEN_DAYS


class AuditFilterForm(forms.Form):
    event = forms.CharField(
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"class": "form-control", "placeholder": "image.removed"}),
    )
    username = forms.CharField(
        label="User",
        required=False,
        max_length=150,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    object_name = forms.CharField(
        label="Object",
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )
    since = forms.DateField(
        label="From",
        required=False,
        widget=forms.DateInput(attrs={"class": "form-control", "type": "date"}),
    )
    until = forms.DateField(
        label="To",
        required=False,
        widget=forms.DateInput(attrs={"class": "form-control", "type": "date"}),
    )
