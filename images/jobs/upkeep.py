"""Failures of the upkeep of repositories: the reason is kept for people, and it is tried again.

Each pause is as long as all time since the first failure, and a first pause more, so pauses double up to an
hour. Whatever the reason was, the first attempt that succeeds ends it. Runs as the registry server.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from images.errors import RegistryError, RepositoryMissing
from images.models import BaseImage, ManagedImage, RefusedRepository
from images.models.lease import WAKE_INTERVAL, error_columns
from images.references import repository_of
from images.registry import connection, naming
from images.registry.ecr.repositories import RepositoryControl
from images.verification import names

log = logging.getLogger(__name__)

# The first pause: nobody waits for a policy, but for a name that a deletion frees.
FIRST_PAUSE = timedelta(minutes=10)
FIRST_PAUSE_OF_DELETION = WAKE_INTERVAL
LONGEST_PAUSE = timedelta(hours=1)


def pause_after(since: datetime, first: timedelta) -> timedelta:
    """How long to wait after another failure of what has failed since then."""
    return min(first + max(timezone.now() - since, timedelta()), LONGEST_PAUSE)


def record_image_refusal(image: ManagedImage, error: RegistryError) -> None:
    """Keep why an image's repository cannot be kept up or deleted, and have it tried again later."""
    first = FIRST_PAUSE if image.removed_at is None else FIRST_PAUSE_OF_DELETION
    with transaction.atomic():
        # If it was removed or restored meanwhile, this says nothing about what is due now.
        same = ManagedImage.objects.filter(pk=image.pk, removed_at=image.removed_at)
        if same.select_for_update().first() is None:
            return
        due_at = record_refusal(repository_of(image), error, image=image, first=first)
        same.update(repository_due_at=due_at)


def record_refusal(
    repository: str,
    error: RegistryError,
    *,
    image: ManagedImage | None = None,
    first: timedelta = FIRST_PAUSE,
) -> datetime:
    """Keep why a repository cannot be kept up; returns when it is tried again."""
    now = timezone.now()
    told = {"tried_at": now, **error_columns(error)}
    with transaction.atomic():
        row, _ = RefusedRepository.objects.select_for_update().get_or_create(
            repository=repository,
            defaults={"image": image, "since": now, "due_at": now, **told},
        )
        due_at = now + pause_after(row.since, first)
        RefusedRepository.objects.filter(pk=row.pk).update(
            attempts=row.attempts + 1, due_at=due_at, **told
        )
    return due_at


def record_kept(repository: str) -> None:
    """An attempt has succeeded, or there is nothing to keep up any more."""
    if RefusedRepository.objects.filter(repository=repository).delete()[0]:
        log.info("The repository %s is kept up again.", repository)


def keep_up(refused_id: int) -> None:
    """Try again what was refused of a repository of the platform's own.

    Those of managed images are tried again by `images.jobs.repositories`.
    """
    refused = RefusedRepository.objects.filter(pk=refused_id, image=None).first()
    if refused is None:
        return
    try:
        put_right(connection.control(), refused.repository)
    except RepositoryMissing:
        pass  # Looks at the registry tell of that.
    except RegistryError as error:
        log.warning("The repository %s cannot be kept up: %s", refused, error)
        record_refusal(refused.repository, error)
        return
    record_kept(refused.repository)


def put_right(control: RepositoryControl, repository: str) -> None:
    """Put a base image's policy, or make the list of names that the repository is. Raises `RegistryError`."""
    if BaseImage.objects.filter(repository=repository, repository_ready_at__isnull=False).exists():
        control.put_lifecycle_policy(repository)
        return
    prefix = naming.effective_prefix()
    for digit in names.DIGITS:
        if repository == names.register_of(prefix, digit):
            names.make_register(control, prefix, digit)
