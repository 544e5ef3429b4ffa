"""Operation that sends due work to a worker at once, for operators who do not wait for the sweeper."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import Build, TaskDue
from images.models.lease import WorkState
from ri_platform.errors import Conflict
from workspaces import audit
from workspaces.access import Action, Actor, require


def wake_build(actor: Actor, build: Build) -> None:
    """Send a build that waits to a worker now, without waiting for the sweeper.

    Raises `Conflict` if it has ended, or a worker is at it.
    """
    require(actor, Action.WAKE_BUILD)
    with transaction.atomic():
        if not Build.objects.claimable().filter(pk=build.pk).exists():
            raise Conflict("It has ended, or a worker is at it.")
        audit.record_about("image.build_woken", actor, build.image, build=build.number)
        wake.after_commit(wake.Task.PREPARE_REPOSITORY, build.image_id)


def wake_task(actor: Actor, due: TaskDue) -> None:
    """Send what is due to a worker now, without waiting for the sweeper.

    Raises `Conflict` if a worker is at it, or it is no longer there.
    """
    require(actor, Action.WAKE_BUILD)
    if (
        due.state == WorkState.RUNNING
        and due.lease_expires_at
        and due.lease_expires_at > timezone.now()
    ):
        raise Conflict("A worker is at it.")
    if not TaskDue.objects.filter(pk=due.pk).exists():
        raise Conflict("It is no longer there.")
    with transaction.atomic():
        audit.record("task.woken", actor, object_type="task", object_name=str(due))
        wake.after_commit(wake.task_due(due), due.row)
