"""Resolutions that are kept for a moment, so that what was just resolved is not resolved again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from ri_platform.ready import Given, Ready


class KeptResolutionManager(models.Manager["KeptResolution"]):
    def find(self, key: str) -> str:
        """The lock that was resolved for this key while index pages count as new; empty if none was."""
        return BY_KEY.first(key=key, since=new_since()) or ""

    def find_answer(self, question: str) -> str:
        """The same for a question whose asker does not know who we are to the indexes."""
        return BY_QUESTION.first(question=question, since=new_since()) or ""

    def new_locks(self) -> models.QuerySet[KeptResolution, str]:
        """The locks that were resolved since a moment, the newest first."""
        new = self.filter(resolved_at__gt=Given("since")).order_by("-resolved_at")
        return new.values_list("lock", flat=True)

    def keep(self, key: str, lock: str, question: str) -> None:
        """Keep a lock, and drop those that are too old to be taken: the table holds no more than a minute's
        work.
        """
        self.filter(resolved_at__lt=new_since()).delete()
        resolved = {"lock": lock, "question": question, "resolved_at": timezone.now()}
        self.update_or_create(key=key, defaults=resolved)


def new_since() -> datetime:
    """Pages of indexes that were read later count as new."""
    return timezone.now() - timedelta(seconds=settings.INDEX_PAGES_SECONDS)


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


BY_KEY: Ready[str] = Ready(lambda: KeptResolution.objects.new_locks().filter(key=Given("key"))[:1])
BY_QUESTION: Ready[str] = Ready(
    lambda: KeptResolution.objects.new_locks().filter(question=Given("question"))[:1]
)
