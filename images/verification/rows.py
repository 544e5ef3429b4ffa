"""The builds and base images whose content the registry must hold."""

from __future__ import annotations

from django.db.models import F, Q

from images.models import Assignment, AssignmentState, BaseImage, Build, DefaultImage
from images.models.base_image import BaseImageQuerySet
from images.models.build import BuildQuerySet
from images.models.lease import WorkState


def promised_builds() -> BuildQuerySet:
    """Each image's current build, and those that models and workspaces are pinned to, by key.

    Other builds that retention keeps are what a roll-back may find; if it does not, it builds them again.
    """
    pinned = Assignment.objects.exclude(state=AssignmentState.PAST).filter(build__isnull=False)
    defaults = DefaultImage.objects.filter(build__isnull=False)
    return (
        Build.objects.filter(state=WorkState.SUCCEEDED, image__removed_at__isnull=True)
        .filter(
            Q(pk=F("image__current_build"))
            | Q(pk__in=pinned.values("build"))
            | Q(pk__in=defaults.values("build"))
        )
        .select_related("image")
        .defer("lock", "timings", "spec", "missing_libraries")
        .order_by("pk")
    )


def promised_bases() -> BaseImageQuerySet:
    """The current base images, and those that a build in use stands on, by key."""
    used = promised_builds().order_by().values("base_image")
    found = BaseImage.objects.filter(state=WorkState.SUCCEEDED, repository_ready_at__isnull=False)
    wanted = found.filter(Q(is_current=True) | Q(pk__in=used)).order_by("pk")
    return wanted.defer("config", "libraries", "lock", "os_packages", "native")
