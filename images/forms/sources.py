"""The part of a form that says where libraries may come from: indexes by name, and pre-releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict

from images.indexes import Indexes


@dataclass(frozen=True)
class IndexChoice:
    """A configured index beside the default one, as the form offers it. Its address has no credentials."""

    name: str
    address: str
    # By the form, not by what it reads.
    chosen: bool
    # The requirements' options name it.
    said: bool
    # Looked at for each library without being chosen.
    always: bool


class IndexesInput(forms.CheckboxSelectMultiple):
    def id_for_label(self, id_: str, index: str | None = None) -> str:
        """The fieldset's, which errors lead to."""
        return super().id_for_label(id_, index) or id_


class SourcesForm(forms.Form):
    """What the requirements' options say is ticked and stays so; the rest is chosen."""

    indexes = forms.MultipleChoiceField(
        label="Package indexes",
        required=False,
        widget=IndexesInput,
        help_text="Any library may come from those that are ticked, beside the default one.",
    )
    allow_prereleases = forms.BooleanField(
        label="Allow pre-releases",
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
        help_text="Versions such as 2.0rc1 count as releases, also of what the libraries need.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.extra_indexes = Indexes.from_settings().extra
        choices = [(index.name, index.name) for index in self.extra_indexes]
        self.fields["indexes"].choices = choices  # type: ignore[attr-defined]

    @property
    def said_indexes(self) -> tuple[str, ...]:
        """Names that the requirements' options say."""
        return ()

    @property
    def said_prereleases(self) -> bool:
        """Whether the requirements' options take pre-releases."""
        return False

    @property
    def said(self) -> tuple[set[str], bool]:
        return set(self.said_indexes), self.said_prereleases

    @staticmethod
    def said_before(posted: QueryDict) -> tuple[set[str], bool]:
        """What the requirements said when the page was rendered."""
        return set(posted.getlist("said_indexes")), "said_prereleases" in posted

    @property
    def index_choices(self) -> list[IndexChoice]:
        chosen = self["indexes"].value() or []
        return [
            IndexChoice(
                index.name,
                index.address,
                chosen=index.name in chosen,
                said=index.name in self.said_indexes,
                always=not index.explicit,
            )
            for index in self.extra_indexes
        ]

    @property
    def wanted_indexes(self) -> tuple[str, ...]:
        """Of a valid form: what is chosen and what the requirements say."""
        return tuple(dict.fromkeys((*self.cleaned_data["indexes"], *self.said_indexes)))

    @property
    def wants_prereleases(self) -> bool:
        return self.cleaned_data["allow_prereleases"] or self.said_prereleases
