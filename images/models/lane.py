"""The two queues of builds: a library's own build code, which may take long, runs in one of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.db.models import QuerySet

from images.spec import ImageSpec


class Lane(StrEnum):
    """A queue of builds and of resolutions; its value is the Celery queue's name."""

    BUILDS = "builds"
    SOURCES = "sources"

    @classmethod
    def of(cls, spec: ImageSpec) -> Lane:
        return cls.SOURCES if spec.allow_source else cls.BUILDS

    def among(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those rows with a spec that stand in this lane."""
        if self is Lane.SOURCES:
            return rows.filter(spec__allow_source=True)
        return rows.exclude(spec__allow_source=True)
