"""Resolutions that are kept for a moment, so that what was just resolved is not resolved again."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


class KeptResolutionManager(models.Manager["KeptResolution"]):
    def find(self, key: str) -> str:
        """The lock that was resolved for this key while index pages count as new; empty if none was."""
        return self.newest_lock(key=key)

    def find_answer(self, question: str) -> str:
        """The same for a question whose asker does not know who we are to the indexes."""
        return self.newest_lock(question=question)

    def newest_lock(self, **of: str) -> str:
        since = timezone.now() - timedelta(seconds=settings.INDEX_PAGES_SECONDS)
        found = self.filter(resolved_at__gt=since, **of).order_by("-resolved_at")
        return found.values_list("lock", flat=True).first() or ""

    def keep(self, key: str, lock: str, question: str) -> None:
        """Keep a lock, and drop those that are too old to be taken: the table holds no more than a minute's
        work.
        """
        now = timezone.now()
        self.filter(resolved_at__lt=now - timedelta(seconds=settings.INDEX_PAGES_SECONDS)).delete()
        self.update_or_create(
            key=key, defaults={"lock": lock, "question": question, "resolved_at": now}
        )


class KeptResolution(models.Model):
    """The lock of a resolution. `key` is a hash of all that decided it, credentials of indexes among it;
    `question` is one without these.
    """

    key = models.CharField(primary_key=True, max_length=64)
    question = models.CharField(max_length=64, default="", db_default="", blank=True, db_index=True)
    lock = models.TextField()
    resolved_at = models.DateTimeField(db_index=True)

    objects = KeptResolutionManager()

    def __str__(self) -> str:
        return f"the resolution of {self.resolved_at:%H:%M:%S}"
