"""Bringing AWS in line with what the database says should exist. Runs as the registry server.

Each function may run any number of times, at any moment, in several workers: it looks at the row
first, holds an advisory lock while it talks to AWS, and does only what is still due.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.errors import RegistryError
from images.jobs import retention
from images.models import (
    BaseImage,
    Build,
    ImageEvent,
    ManagedImage,
    Status,
)
from images.models.lane import Lane
from images.models.lease import WorkState, error_columns
from images.operations.webhooks import announce, told
from images.queries import base_image_notices
from images.references import repository_of
from images.registry import connection, naming
from images.registry.ecr.repositories import RepositoryControl
from ri_platform.locks import exclusive

log = logging.getLogger(__name__)


# Half of the day that a lifecycle rule waits: what a policy names wrongly is put right before it expires.
TIDY_INTERVAL = timedelta(hours=12)
TIDIED_AT_ONCE = 500


def prepare_repository(image_id: int) -> None:
    """Create the image's repository if it is not there yet, then wake its build."""
    with exclusive("image-repository", image_id):
        image = ManagedImage.objects.existing().filter(pk=image_id).first()
        if image is None:
            return
        if image.repository_ready_at is None:
            try:
                make_repository(connection.control(), repository_of(image))
            except RegistryError as error:
                repository_failed(image, error)
                return
            ManagedImage.objects.filter(pk=image.pk).update(
                repository_ready_at=timezone.now(), repository_error=""
            )
    for build in Build.objects.startable().filter(image_id=image_id):
        wake.send(wake.RUN[Lane.of(build.spec)], build.pk)


def repository_failed(image: ManagedImage, error: RegistryError) -> None:
    """Keep the reason; only what time cannot heal ends the build that waits for the repository."""
    log.warning("The repository of %s is not ready: %s", image.name, error)
    with transaction.atomic():
        ManagedImage.objects.select_for_update().get(pk=image.pk)
        ManagedImage.objects.filter(pk=image.pk).update(repository_error=str(error))
        if error.retryable:
            return
        ended = Build.objects.filter(image=image, state=WorkState.QUEUED).fail(error)
        if ended:
            ManagedImage.objects.filter(pk=image.pk).update(
                status=Status.FAILED, updated_at=timezone.now()
            )
            announce(ImageEvent.FAILED, [image.name], error=told(error))


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
                base_repository_failed(base, error)
                return
            BaseImage.objects.filter(pk=base.pk).update(
                repository=repository, repository_ready_at=timezone.now(), error_message=""
            )
    wake.send(wake.Task.IMPORT_BASE_IMAGE, base_image_id)


def base_repository_failed(base: BaseImage, error: RegistryError) -> None:
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


def tidy_repository(image_id: int) -> None:
    """Let superseded builds' images expire, by what the registry really holds.

    What fails is tried again by `tidy_due`. Nothing is asked of AWS while no build is superseded.
    """
    with exclusive("image-repository", image_id):
        with transaction.atomic():
            # Builds end and models are pinned under this lock, so nothing is half seen.
            images = ManagedImage.objects.existing().select_for_update()
            image = images.filter(pk=image_id, repository_ready_at__isnull=False).first()
            if image is None:
                return
            now = retention.standing(image)
        if now.superseded:
            control, repository = connection.control(), repository_of(image)
            try:
                going = retention.expiring(control.describe_images(repository), now)
                control.put_lifecycle_policy(repository, going)
            except RegistryError as error:
                log.warning("The repository of %s cannot be tidied: %s", image.name, error)
                return
        ManagedImage.objects.filter(pk=image.pk).update(
            repository_due_at=timezone.now() + TIDY_INTERVAL
        )


def tidy_due() -> None:
    """Wake the registry worker for repositories that it has not looked at for long."""
    if not settings.IMAGE_REGISTRY_ENABLED:
        return
    due = ManagedImage.objects.existing().filter(
        repository_ready_at__isnull=False, repository_due_at__lt=timezone.now()
    )
    for image in due.order_by("repository_due_at")[:TIDIED_AT_ONCE]:
        wake.send(wake.Task.TIDY_REPOSITORY, image.pk)


def delete_repository(image_id: int) -> None:
    """Delete a removed image's repository with all in it, then its row: the name is free again.

    Waits for a worker that may still be pushing: its lease has ended before the repository goes, so
    nothing of the old image can reach a new one of the same name. From `deletion_began_at` on the image
    cannot be restored.
    """
    with exclusive("image-repository", image_id):
        image = ManagedImage.objects.being_deleted().filter(pk=image_id).first()
        if image is None or image.builds.filter(lease_expires_at__gt=timezone.now()).exists():
            return
        begun = ManagedImage.objects.being_deleted().filter(pk=image_id)
        if not begun.update(deletion_began_at=timezone.now()):
            return
        try:
            delete_what_is_ours(connection.control(), image)
        except RegistryError as error:
            log.warning("The repository of %s cannot be deleted: %s", image.name, error)
            ManagedImage.objects.filter(pk=image.pk).update(repository_error=str(error))
            return
        image.delete()
        log.info("The repository of %s is deleted.", image.name)


def delete_what_is_ours(control: RepositoryControl, image: ManagedImage) -> None:
    repository = repository_of(image)
    if image.repository_ready_at is None:
        # Creation was never confirmed. Empty, it is what a crash left between AWS and our record;
        # with images in it, it was somebody else's all along.
        try:
            if control.list_images(repository):
                return
        except RegistryError as error:
            if error.code == "registry_not_found":
                return
            raise
    control.delete_repository(repository)
