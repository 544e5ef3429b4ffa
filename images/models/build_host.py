"""Machines with builds workers, and their abilities as they report them."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone

# Reports come every minute; a host that is in the middle of a long build may miss some.
REPORT_IS_GOOD_FOR = timedelta(hours=1)


class BuildHostQuerySet(models.QuerySet["BuildHost"]):
    def alive(self) -> BuildHostQuerySet:
        return self.filter(seen_at__gt=timezone.now() - REPORT_IS_GOOD_FOR)


class BuildHost(models.Model):
    """A machine with a worker of `queue`. The problems are sentences, empty if there is none."""

    name = models.CharField(max_length=255)
    queue = models.CharField(max_length=16, default="builds")
    os_packages_problem = models.TextField(blank=True)
    source_builds_problem = models.TextField(blank=True)
    seen_at = models.DateTimeField(auto_now=True)

    objects = BuildHostQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "queue"], name="build_host_reports_once")
        ]

    def __str__(self) -> str:
        return self.name
