"""The builds of an image that stay in the registry and can be pulled."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Q

from images.models import Assignment, AssignmentState, DefaultImage, ManagedImage
from images.models.build import BuildQuerySet


def kept_builds(image: ManagedImage) -> BuildQuerySet:
    """The newest successful builds, and those that models, defaults of workspaces or tags are pinned to or
    wait for; the newest first."""
    succeeded = image.builds.revisions()
    newest = succeeded.order_by("-number").values("pk")[: settings.KEEP_BUILDS]
    pinned = Assignment.objects.exclude(state=AssignmentState.PAST).filter(
        image=image, build__isnull=False
    )
    defaults = DefaultImage.objects.filter(image=image, build__isnull=False)
    tagged = image.moving_tags
    pointed = Q(pk__in=tagged.values("build")) | Q(
        pk__in=tagged.filter(pushed_build__isnull=False).values("pushed_build")
    )
    wanted = (
        pointed
        | Q(pk__in=newest)
        | Q(pk__in=pinned.values("build"))
        | Q(pk__in=defaults.values("build"))
        | Q(pk=image.current_build_id)
    )
    return succeeded.filter(wanted).order_by("-number")
