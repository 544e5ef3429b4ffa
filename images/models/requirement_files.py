"""Requirement files that images were asked for with, as they were given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from images.models.managed_image import ManagedImage
from images.requirement_files import Supplied

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager

    from images.models.alteration import Alteration
    from images.models.build import Build


class RequirementFilesQuerySet(models.QuerySet["RequirementFiles"]):
    def unused(self) -> RequirementFilesQuerySet:
        """Those of proposals that nobody built."""
        return self.filter(builds__isnull=True, alterations__isnull=True)

    def keep(self, image: ManagedImage, supplied: Supplied | None) -> RequirementFiles | None:
        """Keep files for a spec of an image, if it was read from files."""
        if supplied is None:
            return None
        present = image.requirement_files
        if present is not None and present.supplied == supplied:
            return present
        return self.create(image=image, content=supplied.as_json())


class RequirementFiles(models.Model):
    """The files that a spec was read from. Builds of the same spec share a row, which no one changes."""

    image = models.ForeignKey(ManagedImage, models.CASCADE, related_name="+")
    # `Supplied` as JSON; `images.requirement_files.configured` bounds it.
    content = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    builds: RelatedManager[Build]
    alterations: RelatedManager[Alteration]

    objects = RequirementFilesQuerySet.as_manager()

    def __str__(self) -> str:
        return f"requirement files of {self.image}"

    @property
    def supplied(self) -> Supplied:
        return Supplied.of_json(self.content)
