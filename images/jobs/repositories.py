"""Bringing AWS in line with what the database says should exist. Runs as the registry server.

Each function may run any number of times, at any moment, in several workers: it looks at the row
first, holds an advisory lock while it talks to AWS, and does only what is still due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.errors import RegistryError, RegistryNotFound, RepositoryMissing
from images.jobs import build_outcome, repository_look, retention, upkeep
from images.jobs.putting import nobody_puts
from images.models import (
    Attestation,
    BaseImage,
    Build,
    Drift,
    FindingCode,
    KeptManifest,
    ManagedImage,
    RefusedRepository,
)
from images.models.lane import Lane
from images.models.lease import ACTIVE, WorkState, error_columns, next_wake
from images.operations import drift, unknown_repositories
from images.queries import base_image_notices
from images.queries.fair_queue import is_crowded
from images.references import repository_of
from images.registry import connection, naming
from images.registry.ecr.repositories import RepositoryControl
from images.verification import names
from images.verification.listing import unknown_tags
from ri_platform.locks import exclusive

log = logging.getLogger(__name__)

# A builds worker that has resolved a new image waits so long for its repository, and looks so often, in
# seconds.
WAITED_FOR = 5.0
LOOK_SECONDS = 0.01

# Half of the day that a lifecycle rule waits: what a policy names wrongly is put right before it expires.
TIDY_INTERVAL = timedelta(hours=12)


class RepositoryNotThere(Exception):
    """The repository is not made yet: its build goes back into the queue. It is told to no person."""


def prepare_repository(image_id: int) -> None:
    """Create the image's repository if it is not there yet, then wake its build."""
    with exclusive("image-repository", image_id):
        image = ManagedImage.objects.existing().filter(pk=image_id).first()
        if image is None:
            return
        asked = image.repository_ready_at is not None
        if not asked:
            try:
                make_repository(connection.control(), repository_of(image))
            except RegistryError as error:
                record_repository_failure(image, error)
                return
            ManagedImage.objects.filter(pk=image.pk).update(
                repository_ready_at=timezone.now(), repository_error="", tags_may_move=True
            )
    for build in Build.objects.startable().filter(image_id=image_id):
        if asked or not is_crowded(Lane.of(build.spec), wake.ENOUGH):
            wake.send(wake.task_of(build), build.pk)


def wait_for(image: ManagedImage, check: Callable[[], None]) -> None:
    """Wait until an image's repository is there, for a moment. Raises `RepositoryNotThere`."""
    until = time.monotonic() + WAITED_FOR
    row = ManagedImage.objects.filter(pk=image.pk)
    while True:
        ready_at, error = row.values_list("repository_ready_at", "repository_error").get()
        if ready_at is not None:
            return
        if error or time.monotonic() > until:
            raise RepositoryNotThere
        check()
        time.sleep(LOOK_SECONDS)


def record_repository_failure(image: ManagedImage, error: RegistryError) -> None:
    """Keep the reason; only what time cannot heal ends the build that waits for the repository."""
    log.warning("The repository of %s is not ready: %s", image.name, error)
    with transaction.atomic():
        ManagedImage.objects.select_for_update().get(pk=image.pk)
        ManagedImage.objects.filter(pk=image.pk).update(
            repository_error=str(error), repository_due_at=next_wake()
        )
        if error.retryable:
            return
        # A worker may be at it: it has resolved what it was asked for, and pushed nothing yet.
        build_outcome.fail_waiting(image, error, ACTIVE)


def prepare_base_repository(base_image_id: int) -> None:
    """Create a base image's repository if it is not there yet, then wake its import."""
    with exclusive("base-repository", base_image_id):
        base = BaseImage.objects.claimable().filter(pk=base_image_id).first()
        if base is None:
            return
        if base.repository_ready_at is None:
            repository = naming.base_repository(
                naming.effective_prefix(), base.image_type, base.python_version
            )
            shared = BaseImage.objects.filter(
                repository=repository, repository_ready_at__isnull=False
            ).exists()
            try:
                make_repository(connection.control(), repository, ours=shared)
            except RegistryError as error:
                record_base_repository_failure(base, error)
                return
            BaseImage.objects.filter(pk=base.pk).update(
                repository=repository, repository_ready_at=timezone.now(), error_message=""
            )
    wake.send(wake.Task.IMPORT_BASE_IMAGE, base_image_id)


def record_base_repository_failure(base: BaseImage, error: RegistryError) -> None:
    log.warning("The repository of base image %s is not ready: %s", base, error)
    queued = BaseImage.objects.filter(pk=base.pk, state=WorkState.QUEUED)
    if error.retryable:
        queued.update(**error_columns(error))
    elif queued.fail(error):
        base.refresh_from_db()
        base_image_notices.announce_failure(base)


def make_repository(control: RepositoryControl, repository: str, *, ours: bool = False) -> None:
    control.create_repository(repository, ours=ours)
    control.put_lifecycle_policy(repository)


def tidy_repository(image_id: int) -> bool:
    """Let superseded builds' images expire, by what the registry really holds; whether it was due.

    What it holds otherwise than recorded is found on the way (`images.jobs.repository_look`). What fails is
    told (`images.jobs.upkeep`) and tried again by `tidy_due`. After a build, nothing is asked of AWS while
    none is superseded. Twice a day the policy is put in any case: no documented action tells whether it is
    there.
    """
    with exclusive("image-repository", image_id):
        image = ManagedImage.objects.existing().filter(pk=image_id).first()
        now = retention_of(image_id)
        if image is None or now is None:
            return False
        was_due = image.repository_due_at < timezone.now()
        if now.superseded or was_due:
            control, repository = connection.control(), repository_of(image)
            try:
                present = repository_look.look(control, image).present
                # Builds that it has found are not to expire.
                now = retention_of(image_id) or retention.NOTHING
                going = retention.choose_expired_tags(present, now)
                control.put_lifecycle_policy(repository, going)
            except RepositoryMissing as error:
                note_missing(image, error)
                upkeep.record_kept(repository)
                return was_due
            except RegistryError as error:
                log.warning("The repository of %s cannot be tidied: %s", image.name, error)
                upkeep.record_image_refusal(image, error)
                return was_due
            upkeep.record_kept(repository)
        elif RefusedRepository.objects.filter(image=image).exists():
            return False  # It is tried again when its pause is over.
        KeptManifest.objects.filter(build__image=image, build__number__in=now.superseded).delete()
        leave_alone(image, TIDY_INTERVAL)
    return was_due


def leave_alone(image: ManagedImage, pause: timedelta) -> None:
    ManagedImage.objects.filter(pk=image.pk).update(repository_due_at=timezone.now() + pause)


def retention_of(image_id: int) -> retention.RetentionState | None:
    """What may expire of an image, or None if it was removed or has no repository."""
    with transaction.atomic():
        # Builds end and models are pinned under this lock, so nothing is half seen.
        images = ManagedImage.objects.existing().select_for_update()
        image = images.filter(pk=image_id, repository_ready_at__isnull=False).first()
        return retention.read_retention_state(image) if image is not None else None


def note_missing(image: ManagedImage, error: RepositoryMissing) -> None:
    """The repository of an image has gone: as the next look at the registry would find, and heal."""
    log.warning("The repository of %s is gone: %s", image.name, error)
    if image.current_build is not None:
        drift.record_drift(image.current_build, [FindingCode.REPOSITORY_MISSING], [str(error)])
    leave_alone(image, TIDY_INTERVAL)


def tidy_due() -> None:
    """Wake the registry worker for the repository that it has not looked at for longest, if one is due.

    It wakes itself for the next, so no other work of its queue waits for more than one.
    """
    if not settings.IMAGE_REGISTRY_ENABLED:
        return
    due = ManagedImage.objects.existing().filter(
        repository_ready_at__isnull=False, repository_due_at__lt=timezone.now()
    )
    for pk in due.order_by("repository_due_at").values_list("pk", flat=True)[:1]:
        wake.send(wake.Task.TIDY_REPOSITORY, pk)


def delete_repository(image_id: int) -> None:
    """Delete a removed image's repository with all in it, then its row: the name is free again.

    A repository that holds what no row accounts for stays, and is listed for administrators to decide.
    Waits for a worker that may still be pushing: its lease has ended before the repository goes, and nobody
    is putting a manifest, so nothing of the old image can reach a new one of the same name
    (`images.jobs.putting`). From `deletion_began_at` on the image cannot be restored.
    """
    with exclusive("image-repository", image_id), nobody_puts(image_id) as free:
        image = ManagedImage.objects.being_deleted().filter(pk=image_id).first()
        if image is None or not free or is_being_pushed_to(image):
            return
        begun = ManagedImage.objects.being_deleted().filter(pk=image_id)
        if not begun.update(deletion_began_at=timezone.now()):
            return
        try:
            left = delete_what_is_ours(connection.control(), image)
        except RegistryError as error:
            log.warning("The repository of %s cannot be deleted: %s", image.name, error)
            ManagedImage.objects.filter(pk=image.pk).update(repository_error=str(error))
            upkeep.record_image_refusal(image, error)
            return
        with transaction.atomic():
            image.delete()
            if left is not None:
                unknown_repositories.record_left(left)
        if left is None:
            log.info("The repository of %s is deleted.", image.name)
        else:
            log.warning("The repository of %s is left: it holds what no record knows.", image.name)


def is_being_pushed_to(image: ManagedImage) -> bool:
    """Whether a worker holds a lease under which it may push into the image's repository."""
    now = timezone.now()
    written = Attestation.objects.filter(build__image=image, lease_expires_at__gt=now)
    repaired = Drift.objects.filter(build__image=image, lease_expires_at__gt=now)
    held = (image.builds.filter(lease_expires_at__gt=now), written, repaired)
    return any(rows.exists() for rows in held)


def delete_what_is_ours(control: RepositoryControl, image: ManagedImage) -> names.Unknown | None:
    """Delete an image's repository, unless it holds what the rows do not account for: returns it then.

    The row alone may be older than the repository, as after a restored backup.
    """
    repository = repository_of(image)
    try:
        present = control.describe_images(repository)
    except RegistryNotFound:
        return None
    # While its creation was never confirmed, it was empty if it was ours: that is what a crash left between
    # AWS and our record.
    known = image.repository_ready_at is not None and not unknown_tags(image, present)
    if present and not known:
        return names.unknown(image.name, present)
    control.delete_repository(repository)
    return None
