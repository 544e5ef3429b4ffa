"""A database that may be older than the registry: nothing that it once decided is carried out unseen.

Removals that were due may have been taken back since, names may be those of other images, and tags may have
moved on. Where the database was copied or restored, workers wait for `manage.py restored`
(`images.models.instance`). A recovery of the same database to a point in time and a standby's promotion are
noticed by the scheduler, and nobody waits.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.jobs import verification
from images.models import (
    Instance,
    ManagedImage,
    MovingTag,
    RefusedRepository,
    UnknownRepository,
    Verification,
    Wish,
)
from images.models.lease import WorkState, error_columns
from images.registry import naming
from workspaces import audit

log = logging.getLogger(__name__)

# Also where removed images are deleted at once: somebody has to look first.
LEAST_GRACE = timedelta(days=1)


def notice_recovery() -> None:
    """Prepare a database that was recovered since its workers acted last. Done by the scheduler.

    It may have lost only the last moments, or be a day old: nothing tells which.
    """
    row = Instance.objects.filter(pk=1)
    if not any(map(is_recovered, row)):
        return
    with transaction.atomic():
        if any(map(is_recovered, row.select_for_update())):
            again = prepare_restored()
            log.warning(
                "The database was recovered or failed over, so it may lack what was written last: no removed "
                "image is deleted before %s, and the registry is looked at.", again,
            )  # fmt: skip


def is_recovered(instance: Instance) -> bool:
    """Whether the database is the same, on another timeline of PostgreSQL."""
    is_same = instance.database == instance.database_now != ""
    return is_same and instance.timeline != instance.timeline_now


def prepare_restored() -> datetime:
    """Have people decide anew what is deleted, and the registry looked at; returns when deletions go on.

    From now on workers act in this database.

    Lifecycle policies are put again soon: those in force name builds by what was kept before.
    """
    now = timezone.now()
    again = now + max(settings.REMOVAL_GRACE, LEAST_GRACE)
    with transaction.atomic():
        instance = Instance.objects.this()
        instance.goes_on_here()
        removed = ManagedImage.objects.filter(removed_at__isnull=False)
        images = removed.update(
            deletion_due_at=again, repository_due_at=again, deletion_began_at=None
        )
        RefusedRepository.objects.filter(image__in=removed).delete()
        ready = ManagedImage.objects.existing().filter(repository_ready_at__isnull=False)
        ready.update(repository_due_at=now)
        wishes = UnknownRepository.objects.open().exclude(wish=Wish.NONE)
        repositories = wishes.update(
            wish=Wish.NONE,
            state=WorkState.QUEUED,
            lease_expires_at=None,
            finished_at=None,
            **error_columns(None),
        )
        MovingTag.objects.filter(pushed_build__isnull=False).update(pushed_build=None, error="")
        Verification.objects.active().update(state=WorkState.CANCELLED, lease_expires_at=None)
        audit.record(
            "registry.restored",
            None,
            object_type="registry",
            object_name=naming.effective_prefix(),
            details={"removed_images": images, "wishes": repositories},
        )
        if settings.IMAGE_REGISTRY_ENABLED:
            wake.after_commit(wake.Task.SEE_MARK, instance.pk)
            verification.begin()
    return again
