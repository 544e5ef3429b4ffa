"""The sweeper: it wakes workers for all work that is due, whatever became of the messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from images import wake
from images.errors import QueueTimedOut
from images.jobs import (
    attest,
    base_inspection,
    build_outcome,
    import_check,
    library_index,
    moving_tags,
    repair,
    repository_turns,
    restored,
    upgrades,
    verification,
)
from images.models import (
    Alteration,
    BaseImage,
    Build,
    Delivery,
    ImageCount,
    ImportCheck,
    Instance,
    LibraryIndex,
    ManagedImage,
    MovingTag,
    RefusedRepository,
    RequirementFiles,
    UnknownRepository,
    Verification,
    Wish,
)
from images.models.lease import WorkState, next_wake
from images.operations import unknown_repositories
from images.queries.progress import waiting_for
from ri_platform.locks import left_for_later, update_if_free

Row = TypeVar("Row", bound=Model)

# How long people can look up what was sent to a webhook.
KEEP_DELIVERIES = timedelta(days=30)


def sweep() -> None:
    """Wake whatever is due: lost messages, dead workers and AWS refusals all end up here.

    It waits for nobody: a worker may be paused while it holds what a part of this needs.
    """
    if not settings.IMAGE_REGISTRY_ENABLED:
        return
    for part in PARTS:
        with left_for_later(f"The sweep's {part.__name__}"):
            part()


def wake_again(
    work: QuerySet[Row], task: Callable[[Row], wake.Task], *, column: str = "due_at"
) -> None:
    """Send this work to its workers, and not again for a while. What somebody writes at the moment is left
    to the next sweep.
    """
    for row in work:
        rows = type(row)._default_manager.filter(pk=row.pk)
        if update_if_free(rows, **{column: next_wake()}):
            wake.send(task(row), row.pk)


def wake_for_repositories() -> None:
    now = timezone.now()
    unprepared = repository_turns.due().filter(repository_due_at__lt=now)
    wake_again(
        unprepared.order_by("repository_due_at")[: wake.ENOUGH],
        lambda image: wake.Task.PREPARE_REPOSITORY,
        column="repository_due_at",
    )
    going = ManagedImage.objects.being_deleted().filter(repository_due_at__lt=now)
    wake_again(
        going.order_by("repository_due_at")[: wake.ENOUGH],
        lambda image: wake.Task.DELETE_REPOSITORY,
        column="repository_due_at",
    )
    wake_again(BaseImage.objects.due(), lambda base: wake.Task.PREPARE_BASE_REPOSITORY)


def wake_for_refused_repositories() -> None:
    """Those of base images and of the instance; those of managed images have their own time."""
    due = RefusedRepository.objects.filter(image=None, due_at__lt=timezone.now())
    wake_again(due.order_by("due_at")[: wake.ENOUGH], lambda refused: wake.Task.KEEP_UP_REPOSITORY)


def wake_for_alterations() -> None:
    due = Alteration.objects.startable().due().order_by("due_at")
    wake_again(due[: wake.ENOUGH], wake.task_of)


def wake_for_checks() -> None:
    due = ImportCheck.objects.due().order_by("due_at")
    wake_again(due[: wake.ENOUGH], lambda check: wake.Task.CHECK_IMPORTS)


def wake_for_deliveries() -> None:
    due = Delivery.objects.due().order_by("due_at")
    wake_again(due[: wake.ENOUGH], lambda delivery: wake.Task.DELIVER)


def wake_for_tags() -> None:
    for tag in moving_tags.due()[: wake.ENOUGH]:
        if update_if_free(MovingTag.objects.filter(pk=tag.pk), due_at=next_wake()):
            wake.send(wake.Task.MOVE_TAGS, tag.image_id)


def wake_for_attestations() -> None:
    wake_again(attest.due()[: wake.ENOUGH], lambda attestation: wake.Task.WRITE_ATTESTATION)


def wake_for_verifications() -> None:
    """Go on with looks at the registry that gave way to a build, or lost their message or their worker."""
    wake_again(Verification.objects.due(), verification.task_of)


def wake_for_unknown_repositories() -> None:
    wake_again(
        UnknownRepository.objects.wanted().due(),
        lambda repository: unknown_repositories.TASKS[Wish(repository.wish)],
    )


def wake_for_indexes() -> None:
    wake_again(LibraryIndex.objects.due(), lambda index: wake.Task.READ_LIBRARY_INDEX)


def wake_for_builds() -> None:
    due = Build.objects.startable().due().order_by("due_at")
    wake_again(due[: wake.ENOUGH], wake.task_of)


def tidy() -> None:
    """Delete what nobody asks for any more, and sum up counts."""
    now = timezone.now()
    # Nobody comes back to a proposal after a day.
    Alteration.objects.filter(created_at__lt=now - timedelta(days=1)).delete()
    RequirementFiles.objects.unused().delete()
    Delivery.objects.filter(created_at__lt=now - KEEP_DELIVERIES).delete()
    ImageCount.objects.sum_up()


def fail_overdue() -> None:
    """End builds that have waited for their first start for too long, with what they waited for.

    One that a worker took and gave back has started, unless its repository is still not there: until then
    a worker can only look for its libraries.
    """
    before = timezone.now() - timedelta(seconds=settings.QUEUE_SECONDS)
    overdue = Build.objects.filter(
        Q(started_at=None) | Q(image__repository_ready_at=None),
        state=WorkState.QUEUED,
        created_at__lt=before,
    )
    for build in overdue.select_related("image", "base_image").order_by("pk")[: wake.ENOUGH]:
        why = waiting_for(build.image, build, Instance.objects.seen())
        with transaction.atomic():
            if not ManagedImage.objects.select_for_update(skip_locked=True).filter(
                pk=build.image_id
            ):
                continue
            build_outcome.fail_waiting(
                build.image,
                QueueTimedOut(
                    f"The build did not start within {settings.QUEUE_SECONDS} seconds. {why}",
                    hint="Build it again once the reason is gone; an operator can change RI_QUEUE_SECONDS.",
                ),
            )


PARTS: list[Callable[[], object]] = [
    restored.notice_recovery,
    wake_for_repositories,
    wake_for_refused_repositories,
    base_inspection.wake_due,
    wake_for_alterations,
    wake_for_checks,
    import_check.skip_unserved,
    wake_for_deliveries,
    wake_for_tags,
    wake_for_attestations,
    wake_for_verifications,
    repair.wake_due,
    wake_for_unknown_repositories,
    library_index.read_again,
    wake_for_indexes,
    upgrades.dispatch,
    fail_overdue,
    wake_for_builds,
    tidy,
]
