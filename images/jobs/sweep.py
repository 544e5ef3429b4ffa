"""The sweeper: it wakes workers for all work that is due, whatever became of the messages."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
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
    upgrades,
    verification,
)
from images.models import (
    Alteration,
    Attestation,
    BaseImage,
    Build,
    Delivery,
    ImageCount,
    ImportCheck,
    Instance,
    LibraryIndex,
    ManagedImage,
    MovingTag,
    RequirementFiles,
    UnknownRepository,
    Verification,
    Wish,
)
from images.models.lease import WorkState, next_wake
from images.operations import unknown_repositories
from images.queries.progress import waiting_for

# How long people can look up what was sent to a webhook.
KEEP_DELIVERIES = timedelta(days=30)


def sweep() -> None:
    """Wake whatever is due: lost messages, dead workers and AWS refusals all end up here."""
    if not settings.IMAGE_REGISTRY_ENABLED:
        return
    now, again = timezone.now(), next_wake()
    unprepared = repository_turns.due().filter(repository_due_at__lt=now)
    for image in unprepared.order_by("repository_due_at")[: wake.ENOUGH]:
        ManagedImage.objects.filter(pk=image.pk).update(repository_due_at=again)
        wake.send(wake.Task.PREPARE_REPOSITORY, image.pk)
    going = ManagedImage.objects.being_deleted().filter(repository_due_at__lt=now)
    for image in going.order_by("repository_due_at")[: wake.ENOUGH]:
        ManagedImage.objects.filter(pk=image.pk).update(repository_due_at=again)
        wake.send(wake.Task.DELETE_REPOSITORY, image.pk)
    for base in BaseImage.objects.due():
        BaseImage.objects.filter(pk=base.pk).update(due_at=again)
        wake.send(wake.Task.PREPARE_BASE_REPOSITORY, base.pk)
    base_inspection.wake_due()
    for alteration in Alteration.objects.startable().due().order_by("due_at")[: wake.ENOUGH]:
        Alteration.objects.filter(pk=alteration.pk).update(due_at=again)
        wake.send(wake.task_of(alteration), alteration.pk)
    for check in ImportCheck.objects.due().order_by("due_at")[: wake.ENOUGH]:
        ImportCheck.objects.filter(pk=check.pk).update(due_at=again)
        wake.send(wake.Task.CHECK_IMPORTS, check.pk)
    import_check.skip_unserved()
    for delivery in Delivery.objects.due().order_by("due_at")[: wake.ENOUGH]:
        Delivery.objects.filter(pk=delivery.pk).update(due_at=again)
        wake.send(wake.Task.DELIVER, delivery.pk)
    for tag in moving_tags.due()[: wake.ENOUGH]:
        MovingTag.objects.filter(pk=tag.pk).update(due_at=again)
        wake.send(wake.Task.MOVE_TAGS, tag.image_id)
    for attestation in attest.due()[: wake.ENOUGH]:
        Attestation.objects.filter(pk=attestation.pk).update(due_at=again)
        wake.send(wake.Task.WRITE_ATTESTATION, attestation.pk)
    wake_verifications()
    repair.wake_due()
    for repository in UnknownRepository.objects.wanted().due():
        UnknownRepository.objects.filter(pk=repository.pk).update(due_at=again)
        wake.send(unknown_repositories.TASKS[Wish(repository.wish)], repository.pk)
    library_index.read_again()
    for index in LibraryIndex.objects.due():
        LibraryIndex.objects.filter(pk=index.pk).update(due_at=again)
        wake.send(wake.Task.READ_LIBRARY_INDEX, index.pk)
    upgrades.dispatch()
    fail_overdue()
    for build in Build.objects.startable().due().order_by("due_at")[: wake.ENOUGH]:
        Build.objects.filter(pk=build.pk).update(due_at=again)
        wake.send(wake.task_of(build), build.pk)
    tidy()


def tidy() -> None:
    """Delete what nobody asks for any more, and sum up counts."""
    now = timezone.now()
    # Nobody comes back to a proposal after a day.
    Alteration.objects.filter(created_at__lt=now - timedelta(days=1)).delete()
    RequirementFiles.objects.unused().delete()
    Delivery.objects.filter(created_at__lt=now - KEEP_DELIVERIES).delete()
    ImageCount.objects.sum_up()


def wake_verifications() -> None:
    """Go on with looks at the registry that gave way to a build, or lost their message or their worker."""
    for work in Verification.objects.due():
        Verification.objects.filter(pk=work.pk).update(due_at=next_wake())
        wake.send(verification.task_of(work), work.pk)


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
            ManagedImage.objects.select_for_update().get(pk=build.image_id)
            build_outcome.fail_waiting(
                build.image,
                QueueTimedOut(
                    f"The build did not start within {settings.QUEUE_SECONDS} seconds. {why}",
                    hint="Build it again once the reason is gone; an operator can change RI_QUEUE_SECONDS.",
                ),
            )
