"""Repositories and builds that no record knows, such as those that are newer than a restored backup."""

from __future__ import annotations

import re

from django.db import models
from django.db.models import Q

from images.models.lease import ACTIVE, Lease, LeaseQuerySet, WorkState, lease_constraints
from workspaces.models import User


class Wish(models.TextChoices):
    """What an administrator decided about one."""

    NONE = "", "Not decided"
    ADOPT = "adopt", "Adopt"
    DELETE = "delete", "Delete"


class UnknownRepositoryQuerySet(LeaseQuerySet["UnknownRepository"]):
    def open(self) -> UnknownRepositoryQuerySet:
        """Those that are still there."""
        return self.exclude(state=WorkState.SUCCEEDED)

    def wanted(self) -> UnknownRepositoryQuerySet:
        """Those that workers have something to do with."""
        return self.claimable().exclude(wish=Wish.NONE)


class UnknownRepository(Lease):
    """A repository under the prefix without a row, or with builds that are newer than the records.

    Nothing happens to it until an administrator decides.

    `name` is the repository's without the prefix: an image's name, or `base/…`. `tags` are those that it has.
    """

    name = models.CharField(max_length=160)
    # Its image is known; what no record knows are the builds of `tags`.
    of_known_image = models.BooleanField(default=False)
    tags = models.JSONField(default=list, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    pushed_at = models.DateTimeField(null=True, blank=True)
    wish = models.CharField(max_length=8, choices=Wish.choices, blank=True)
    wished_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    wished_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(auto_now=True)

    objects = UnknownRepositoryQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "unknown repositories"
        constraints = [
            *lease_constraints("unknown_repository"),
            models.CheckConstraint(
                condition=Q(wish__in=Wish.values), name="unknown_repository_wish_is_known"
            ),
            models.UniqueConstraint(
                fields=["name"],
                condition=~Q(state=WorkState.SUCCEEDED),
                name="unknown_repository_is_listed_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(state__in=ACTIVE), name="unknown_repository_due"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def holds_base_images(self) -> bool:
        """These are imported, not adopted."""
        return "/" in self.name

    @property
    def builds(self) -> list[str]:
        """The builds in it by their tags, the latest first; what refers to them is left out."""
        found = (re.fullmatch(r"build-([0-9]{1,9})", tag) for tag in self.tags)
        numbers = sorted((int(match[1]) for match in found if match), reverse=True)
        return [str(number) for number in numbers]
