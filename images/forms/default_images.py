"""The form of a workspace's default image."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.http import QueryDict

from images.forms.images import ExternalImageForm
from images.models import DefaultImage
from images.operations.swaps import Choice, ExternalChoice, ManagedChoice
from ri_platform.text import OneLineField

PINNED = re.compile(r"(?P<name>[^:@]+)(?::build-|@)(?P<build>[0-9]{1,9})")


class DefaultImageForm(ExternalImageForm):
    """A managed image by name, perhaps with `:build-2` after it, or the reference of an external one."""

    image = OneLineField(label="Managed image", required=False, max_length=200)

    def __init__(self, data: QueryDict | None, *, present: DefaultImage | None) -> None:
        super().__init__(data, initial=initial_of(present))
        self.fields["reference"].required = False
        if not settings.ALLOW_EXTERNAL_CUSTOM_IMAGES:
            del self.fields["reference"], self.fields["pull_secret"]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if bool(given.get("image")) == bool(given.get("reference")) and not self.errors:
            both = "Name one image: a managed one or an external one, not both."
            self.add_error("image", both if given.get("image") else "Name an image.")
        return given

    @property
    def choice(self) -> Choice:
        """Of a valid form."""
        given = self.cleaned_data
        if reference := given.get("reference"):
            return ExternalChoice(reference, given["pull_secret"])
        name = given["image"].strip()
        pinned = PINNED.fullmatch(name)
        return ManagedChoice(pinned["name"], pinned["build"]) if pinned else ManagedChoice(name)


def initial_of(present: DefaultImage | None) -> dict[str, str]:
    if present is None:
        return {}
    pin = f":build-{present.build_number}" if present.build_number else ""
    return {
        "image": f"{present.image_name}{pin}",
        "reference": present.external_reference,
        "pull_secret": present.pull_secret,
    }
