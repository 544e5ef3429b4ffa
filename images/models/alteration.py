"""Alterations that were asked for and are not decided yet: resolved first, so that people see the change."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from images.models.base_image import BaseImage
from images.models.lease import Lease, LeaseQuerySet, WorkState, lease_constraints
from images.models.managed_image import ManagedImage
from images.models.requirement_files import RequirementFiles
from images.models.spec_field import SpecField
from workspaces.models import User


class AlterationQuerySet(LeaseQuerySet["Alteration"]):
    def startable(self) -> AlterationQuerySet:
        return self.claimable().filter(base_image__state=WorkState.SUCCEEDED)


class Alteration(Lease):
    """A proposed spec of an image and, once resolved, its lock. Building it uses just that lock."""

    image = models.ForeignKey(ManagedImage, models.CASCADE, related_name="alterations")
    base_image = models.ForeignKey(BaseImage, models.CASCADE, related_name="+")
    spec = SpecField()
    requested_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    lock = models.TextField(blank=True)
    # What the spec was read from, if from files.
    requirement_files = models.ForeignKey(
        RequirementFiles, models.RESTRICT, null=True, blank=True, related_name="alterations"
    )

    objects = AlterationQuerySet.as_manager()

    class Meta:
        constraints = [
            *lease_constraints("alteration"),
            models.CheckConstraint(
                condition=~Q(state=WorkState.SUCCEEDED) | ~Q(lock=""),
                name="alteration_succeeded_has_a_lock",
            ),
        ]

    def __str__(self) -> str:
        return f"alteration of {self.image}"
