"""The sweeper: it wakes workers for all work that is due, whatever became of the messages."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from images import wake
from images.jobs import upgrades
from images.models import (
    Alteration,
    BaseImage,
    Build,
    Delivery,
    ManagedImage,
    RequirementFiles,
)
from images.models.lane import Lane
from images.models.lease import WorkState, next_wake

# How long people can look up what was sent to a webhook.
KEEP_DELIVERIES = timedelta(days=30)


# A few suffice: a builds worker that is woken takes what is next, and wakes another when it is done.
WOKEN_AT_ONCE = 20


def sweep() -> None:
    """Wake whatever is due: lost messages, dead workers and AWS refusals all end up here."""
    if not settings.IMAGE_REGISTRY_ENABLED:
        return
    now, again = timezone.now(), next_wake()
    unprepared = Q(
        removed_at__isnull=True,
        repository_ready_at__isnull=True,
        pk__in=Build.objects.filter(state=WorkState.QUEUED).values("image"),
    )
    due_images = ManagedImage.objects.filter(repository_due_at__lt=now)
    for task, images in (
        (wake.Task.PREPARE_REPOSITORY, due_images.filter(unprepared)),
        (wake.Task.DELETE_REPOSITORY, due_images.being_deleted()),
    ):
        for image in images:
            ManagedImage.objects.filter(pk=image.pk).update(repository_due_at=again)
            wake.send(task, image.pk)
    for base in BaseImage.objects.due():
        BaseImage.objects.filter(pk=base.pk).update(due_at=again)
        wake.send(wake.Task.PREPARE_BASE_REPOSITORY, base.pk)
    for alteration in Alteration.objects.startable().due().order_by("due_at")[:WOKEN_AT_ONCE]:
        Alteration.objects.filter(pk=alteration.pk).update(due_at=again)
        wake.send(wake.RESOLVE[Lane.of(alteration.spec)], alteration.pk)
    # Nobody comes back to a proposal after a day.
    Alteration.objects.filter(created_at__lt=now - timedelta(days=1)).delete()
    RequirementFiles.objects.unused().delete()
    for delivery in Delivery.objects.due():
        Delivery.objects.filter(pk=delivery.pk).update(due_at=again)
        wake.send(wake.Task.DELIVER, delivery.pk)
    Delivery.objects.filter(created_at__lt=now - KEEP_DELIVERIES).delete()
    upgrades.dispatch()
    for build in Build.objects.startable().due().order_by("due_at")[:WOKEN_AT_ONCE]:
        Build.objects.filter(pk=build.pk).update(due_at=again)
        wake.send(wake.RUN[Lane.of(build.spec)], build.pk)
