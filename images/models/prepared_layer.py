"""Layers that the platform made before anybody asked for them, and what that took."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q, Sum
from django.utils import timezone

# What the budgets are for.
PERIOD = timedelta(days=1)


class PreparedBecause(models.TextChoices):
    CATALOGUE = "catalogue", "A base image of the catalogue has it"
    ASKED = "asked", "Images ask for it"


class PreparedLayerQuerySet(models.QuerySet["PreparedLayer"]):
    def spent(self) -> tuple[int, float]:
        """Bytes of layers and seconds of processor time within the last day."""
        recent = self.filter(prepared_at__gt=timezone.now() - PERIOD)
        found = recent.aggregate(size=Sum("size_bytes"), seconds=Sum("processor_seconds"))
        return found["size"] or 0, found["seconds"] or 0.0


class PreparedLayer(models.Model):
    """One attempt to make the layer of this key (`CachedLayer.key`); `error` says why there is none.

    The blob lies in the layer cache of the worker that made it, until a build brings it to the registry.
    """

    key = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=255)
    python_version = models.CharField(max_length=8)
    because = models.CharField(max_length=16, choices=PreparedBecause.choices)
    digest = models.CharField(max_length=71, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    processor_seconds = models.FloatField(default=0.0)
    error = models.TextField(blank=True)
    prepared_at = models.DateTimeField(auto_now_add=True, db_index=True)

    objects = PreparedLayerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__startswith="sha256:", error="") | (Q(digest="") & ~Q(error="")),
                name="prepared_layer_is_there_or_says_why",
            )
        ]

    def __str__(self) -> str:
        return self.title
