"""Resolutions that are kept for a moment, so that what was just resolved is not resolved again."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


class KeptResolutionManager(models.Manager["KeptResolution"]):
    def find(self, key: str) -> str:
        """The lock that was resolved for this key while index pages count as new; empty if none was."""
        since = timezone.now() - timedelta(seconds=settings.INDEX_PAGES_SECONDS)
        found = self.filter(key=key, resolved_at__gt=since).values_list("lock", flat=True).first()
        return found or ""

    def keep(self, key: str, lock: str) -> None:
        """Keep a lock, and drop those that are too old to be taken: the table holds no more than a minute's
        work.
        """
        now = timezone.now()
        self.filter(resolved_at__lt=now - timedelta(seconds=settings.INDEX_PAGES_SECONDS)).delete()
        self.update_or_create(key=key, defaults={"lock": lock, "resolved_at": now})


class KeptResolution(models.Model):
    """The lock of a resolution. `key` is a hash of all that decided it, credentials of indexes among it."""

    key = models.CharField(primary_key=True, max_length=64)
    lock = models.TextField()
    resolved_at = models.DateTimeField(db_index=True)

    objects = KeptResolutionManager()

    def __str__(self) -> str:
        return f"the resolution of {self.resolved_at:%H:%M:%S}"
