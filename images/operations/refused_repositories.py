"""Retries that operators ask for, of repositories whose upkeep AWS refuses."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import ManagedImage, RefusedRepository
from ri_platform.errors import Conflict
from workspaces import audit
from workspaces.access import Action, Actor, require


def try_again(actor: Actor, refused: RefusedRepository) -> None:
    """Have the upkeep of a repository tried again now. Raises `Conflict` if it has succeeded meanwhile."""
    require(actor, Action.WAKE_BUILD)
    now = timezone.now()
    with transaction.atomic():
        if not RefusedRepository.objects.filter(pk=refused.pk).update(due_at=now):
            raise Conflict("It is kept up again.")
        audit.record(
            "repository.try_again_requested",
            actor,
            object_type="repository",
            object_name=refused.repository,
        )
        image = refused.image
        if image is None:
            wake.after_commit(wake.Task.KEEP_UP_REPOSITORY, refused.pk)
            return
        ManagedImage.objects.filter(pk=image.pk).update(repository_due_at=now)
        removed = image.removed_at is not None
        task = wake.Task.DELETE_REPOSITORY if removed else wake.Task.TIDY_REPOSITORY
        wake.after_commit(task, image.pk)
