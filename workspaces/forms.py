"""Forms of this app. Each parses text into a frozen command."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator

from ri_platform.text import OneLineField
from workspaces.models import InstanceRole, Workspace, WorkspaceRole
from workspaces.operations.workspaces import EditWorkspace

# The time zone database also has old names and abbreviations, which only lengthen the list.
REGIONS = {
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe",
    "Indian", "Pacific",
}  # fmt: skip


def zone_choices(nothing: str = "") -> list[tuple[str, str]]:
    """Time zones by region and city; `nothing` is the label of the empty choice, if there is one."""
    cities = sorted(zone for zone in available_timezones() if zone.split("/")[0] in REGIONS)
    zones = [(zone, zone.replace("_", " ")) for zone in ("UTC", *cities)]
    return [("", nothing), *zones] if nothing else zones


class OwnTimeZoneForm(forms.Form):
    time_zone = forms.ChoiceField(
        label="Time zone",
        required=False,
        choices=lambda: zone_choices("As in my browser"),
        widget=forms.Select(attrs={"class": "form-select"}),
    )


class OrganizationForm(forms.Form):
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=lambda: zone_choices(),
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text="For exports, and for readers whose browser does not say where they are.",
    )


class WorkspaceForm(forms.Form):
    name = OneLineField(
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
    username = OneLineField(
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
    name = OneLineField(
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
    event = OneLineField(
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"class": "form-control", "placeholder": "image.removed"}),
    )
    username = OneLineField(
        label="User",
        required=False,
        max_length=150,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    object_name = OneLineField(
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
