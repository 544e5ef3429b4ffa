"""A database out of a backup, before its workers start: nothing that it once decided is carried out unseen.

It is older than the registry. Removals that were due may have been taken back since, names may be those of
other images, and tags may have moved on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images.jobs import verification
from images.models import ManagedImage, MovingTag, UnknownRepository, Verification, Wish
from images.models.lease import WorkState, error_columns
from images.registry import naming
from workspaces import audit

# Also where removed images are deleted at once: somebody has to look first.
LEAST_GRACE = timedelta(days=1)


def prepare_restored() -> datetime:
    """Have people decide anew what is deleted, and the registry looked at; returns when deletions go on.

    Lifecycle policies are put again soon: those in force name builds by what was kept before.
    """
    now = timezone.now()
    again = now + max(settings.REMOVAL_GRACE, LEAST_GRACE)
    with transaction.atomic():
        removed = ManagedImage.objects.filter(removed_at__isnull=False)
        images = removed.update(
            deletion_due_at=again, repository_due_at=again, deletion_began_at=None
        )
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
            verification.begin()
    return again
