"""The part of a form that says what a container of the image starts with."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError

from images.forms.files import MONOSPACE
from images.run_time import checks
from images.run_time.settings import Pairs, RunTime
from ri_platform.errors import Invalid
from ri_platform.text import OneLineField

T = TypeVar("T")


class RunTimeForm(forms.Form):
    """Fields that each hold one of the settings; an empty one leaves the base image's."""

    env = forms.CharField(
        label="Environment variables",
        required=False,
        max_length=checks.MAX_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={**MONOSPACE, "rows": 3, "placeholder": "OMP_NUM_THREADS=4"}),
        help_text="One a line, as NAME=value. No secrets: everybody who can pull the image reads them.",
    )
    working_dir = OneLineField(
        label="Working folder",
        required=False,
        max_length=checks.MAX_PATH,
        widget=forms.TextInput(attrs={**MONOSPACE, "placeholder": "/app"}),
        help_text="An absolute path. The container runtime makes the folder if the image has none.",
    )
    user = OneLineField(
        label="User",
        required=False,
        max_length=checks.MAX_USER,
        widget=forms.TextInput(attrs={**MONOSPACE, "placeholder": "1000:1000"}),
        help_text="A name that the base image has or a number, optionally with a group.",
    )
    entrypoint = OneLineField(
        label="Entry point",
        required=False,
        max_length=checks.MAX_VALUE,
        widget=forms.TextInput(attrs={**MONOSPACE, "placeholder": "python -m serve"}),
        help_text="Words with spaces between them, quoted as in a shell. No shell runs it.",
    )
    labels = forms.CharField(
        label="Labels",
        required=False,
        max_length=checks.MAX_TEXT,
        strip=False,
        widget=forms.Textarea(
            attrs={**MONOSPACE, "rows": 2, "placeholder": "com.example.team=pricing"}
        ),
        help_text="One a line, as name=value.",
    )

    def clean_env(self) -> Pairs:
        text = self.cleaned_data["env"]
        return read(lambda: checks.checked_variables(checks.read_pairs(text, "env")))

    def clean_working_dir(self) -> str:
        return read(lambda: checks.checked_working_dir(self.cleaned_data["working_dir"]))

    def clean_user(self) -> str:
        return read(lambda: checks.checked_user(self.cleaned_data["user"]))

    def clean_entrypoint(self) -> tuple[str, ...]:
        text = self.cleaned_data["entrypoint"]
        return read(lambda: checks.checked_entrypoint(checks.read_words(text)))

    def clean_labels(self) -> Pairs:
        text = self.cleaned_data["labels"]
        return read(lambda: checks.checked_labels(checks.read_pairs(text, "labels")))

    @property
    def has_run_time(self) -> bool:
        """Whether any of the settings is given or refused, so that its fields are shown."""
        names = RunTimeForm.base_fields
        return any(self[name].value() or self[name].errors for name in names)

    def run_time(self) -> RunTime:
        return RunTime(**{name: self.cleaned_data[name] for name in RunTimeForm.base_fields})


def read(check: Callable[[], T]) -> T:
    """The checked value. Raises `ValidationError` with the sentence of the check."""
    try:
        return check()
    except Invalid as error:
        raise ValidationError(str(error)) from error


def run_time_initial(run_time: RunTime) -> dict[str, Any]:
    """The fields as they would say the settings."""
    return {
        "env": "\n".join(f"{name}={value}" for name, value in run_time.env),
        "working_dir": run_time.working_dir,
        "user": run_time.user,
        "entrypoint": shlex.join(run_time.entrypoint),
        "labels": "\n".join(f"{name}={value}" for name, value in run_time.labels),
    }
