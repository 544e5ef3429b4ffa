"""Removal of images from the instance, and their restoration within the grace time.

As in `images.operations.images`, each verb is one function: access, lock, change, audit, one transaction.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import Assignment, ImageEvent, InstalledLibrary, ManagedImage, RefusedRepository
from images.models.lease import WorkState
from images.models.managed_image import Status, is_valid_name, settled_status
from images.operations.webhooks import announce
from images.queries.capabilities import require_enabled
from images.queries.usage import is_used
from ri_platform.errors import Conflict, Invalid, NotFound
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace


def remove_image(
    actor: Actor, name: str, *, typed_name: str = "", workspace: Workspace | None = None
) -> None:
    """Take an image from every list at once; its repository goes when it can no longer be restored.

    An image that models run on is removed only if its name was typed, as `typed_name`; they say so then. The
    name is free again when the repository is gone. Removing an image that is removed already is harmless.
    Raises `NotFound` if there is none of this name, `Invalid` without the typed name.
    """
    require(actor, Action.REMOVE_IMAGE, workspace)
    require_enabled()
    with transaction.atomic():
        image = lock_named(name)
        if image.removed_at is not None:
            return
        if typed_name.strip() != image.name and is_used(image):
            raise Invalid(
                f"{image.name} is in use.", hint="Type its name to remove it.", field="name"
            )
        now = timezone.now()
        image.removed_at, image.removed_by, image.updated_at = now, actor.user, now
        # The sweeper wakes the registry worker then.
        image.deletion_due_at = image.repository_due_at = now + settings.REMOVAL_GRACE
        image.repository_error = ""
        image.save(
            update_fields=[
                "removed_at", "removed_by", "updated_at", "deletion_due_at", "repository_due_at",
                "repository_error",
            ]
        )  # fmt: skip
        InstalledLibrary.objects.current().filter(build=image.current_build_id).update(
            current_of=None
        )
        # What was refused of its upkeep is of no consequence; its deletion may be refused anew.
        RefusedRepository.objects.filter(image=image).delete()
        # A worker in the middle of one finds its writes refused and stops.
        image.builds.active().update(state=WorkState.CANCELLED, finished_at=now)
        Assignment.objects.waiting().filter(image=image).delete()
        record_about(
            "image.removed", actor, image, workspace,
            image_type=image.image_type, python_version=image.python_version,
        )  # fmt: skip
        announce(ImageEvent.REMOVED, [image.name])
        if not settings.REMOVAL_GRACE:
            wake.after_commit(wake.Task.DELETE_REPOSITORY, image.pk)


def restore_image(actor: Actor, name: str, *, workspace: Workspace | None = None) -> ManagedImage:
    """Bring a removed image back with all its builds; models that ran on it run on it again.

    A build that was under way is not continued. Raises `NotFound` if no image of this name was removed,
    `Conflict` if it is being deleted.
    """
    require(actor, Action.RESTORE_IMAGE, workspace)
    require_enabled()
    with transaction.atomic():
        image = lock_removed(name)
        image.removed_at = image.removed_by = image.deletion_due_at = None
        image.status, image.updated_at = settled_status(image), timezone.now()
        image.save(
            update_fields=["removed_at", "removed_by", "deletion_due_at", "status", "updated_at"]
        )
        InstalledLibrary.objects.filter(build=image.current_build_id).update(current_of=image.name)
        record_about("image.restored", actor, image, workspace)
        announce(ImageEvent.RESTORED, [image.name])
        if image.status == Status.OUTDATED:
            announce(ImageEvent.OUTDATED, [image.name])
    return image


def delete_image(actor: Actor, name: str, *, workspace: Workspace | None = None) -> None:
    """Delete a removed image for good now, which frees its name; it cannot be restored any more.

    Raises `NotFound` if no image of this name was removed. Deleting what is being deleted is harmless.
    """
    require(actor, Action.REMOVE_IMAGE, workspace)
    require_enabled()
    with transaction.atomic():
        image = lock_named(name, removed=True)
        if not image.is_restorable:
            return
        image.deletion_due_at = image.repository_due_at = timezone.now()
        image.save(update_fields=["deletion_due_at", "repository_due_at"])
        record_about("image.deleted", actor, image, workspace)
        wake.after_commit(wake.Task.DELETE_REPOSITORY, image.pk)


def lock_removed(name: str) -> ManagedImage:
    """The locked row of a removed image that can be restored. Raises `NotFound` or `Conflict`."""
    image = lock_named(name, removed=True)
    if not image.is_restorable:
        raise Conflict(
            f"{name} is being deleted, so it cannot be restored.",
            hint="Create it anew as soon as its name is free.",
        )
    return image


def lock_named(name: str, *, removed: bool = False) -> ManagedImage:
    """The locked row of this name; with `removed`, of an image that was removed. Raises `NotFound`."""
    images = ManagedImage.objects.select_for_update()
    image = images.filter(name=name).first() if is_valid_name(name) else None
    if image is None or (removed and image.removed_at is None):
        raise NotFound(f"There is no managed image named {name}.")
    return image
