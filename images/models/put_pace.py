"""The pace of manifests: how many a second all builds workers together put into the registry."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class PutPace(models.Model):
    """One row: the moment at which the next manifest is within the pace.

    Each put moves it on by the time that one manifest has at that pace, in one statement (the generic cell
    rate algorithm, ITU-T I.371), so any number of workers share it and a worker that dies leaves nothing
    behind.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    free_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="put_pace_is_one_row")]

    def __str__(self) -> str:
        return f"the next manifest at {self.free_at:%H:%M:%S.%f}"
