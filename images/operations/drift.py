"""The life of a drift: recorded when it is found, told to people and webhooks, healed or given up.

The platform acts here, as no person asks for it; each change is audited all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import BaseImage, Build, Drift, FindingCode, ImageEvent, MovingTag
from images.models.drift import column_of
from images.models.lane import Lane
from images.models.lease import WorkState, end_columns, error_columns, next_wake
from images.operations.webhooks import announce
from ri_platform.errors import Conflict, DomainError
from workspaces import audit
from workspaces.access import Action, Actor, require

# Seconds before each further attempt of a repair; the last one counts for all that follow.
PAUSES = (10, 30, 60, 300, 900, 3600)


def record_drift(
    row: Build | BaseImage,
    codes: Sequence[FindingCode],
    said: Sequence[str],
    *,
    deep: bool = False,
) -> Drift | None:
    """Record that the registry lacks something of a row; returns the drift if it is new.

    What is known already takes the latest findings, and is no news. Only a look that was `deep` forgets
    content that differs.
    """
    with transaction.atomic():
        known = Drift.objects.open().select_for_update().filter(**column_of(row)).first()
        if known is not None and known.is_of_content and not deep:
            codes, said = [FindingCode.CONTENT_DIFFERS, *codes], [*known.said, *said]
        values = {"codes": list(dict.fromkeys(codes)), "said": list(dict.fromkeys(said))}
        if known is not None:
            Drift.objects.filter(pk=known.pk).update(**values)
            return None
        drift = Drift.objects.create(**column_of(row), **values)
        record(drift, "drifted", codes=[str(code) for code in drift.codes])
        tell(drift, ImageEvent.DRIFTED, findings=drift.said)
        if settings.HEAL_DRIFT and drift.is_healable and not is_crowded():
            wake.after_commit(wake.Task.RESTORE_REPOSITORY, drift.pk)
    return drift


def is_crowded() -> bool:
    """Whether more repairs wait than the messages that suffice: whichever ends wakes the next."""
    return Drift.objects.waiting()[: wake.ENOUGH + 1].count() > wake.ENOUGH


def push_again(actor: Actor, drift: Drift) -> None:
    """Have what the registry lost pushed again now, also what was given up. Raises `Conflict`."""
    require(actor, Action.WAKE_BUILD)
    with transaction.atomic():
        again = Drift.objects.open().exclude(state=WorkState.RUNNING).filter(pk=drift.pk)
        values = {"state": WorkState.QUEUED, "due_at": next_wake(), "attempts": 0}
        if not again.update(
            **values, repository_made=False, finished_at=None, **error_columns(None)
        ):
            raise Conflict("It is over, or a worker is at it.")
        if not drift.is_healable:
            raise Conflict("Only people can put that right: nothing of it can be pushed again.")
        record(drift, "push_again_requested", actor)
        wake.after_commit(wake.Task.RESTORE_REPOSITORY, drift.pk)


def record_healed(drift: Drift, log: str = "") -> None:
    """End a drift whose image is whole again. Raises `LeaseLost`."""
    with transaction.atomic():
        drift.succeed(log=log)
        tell_healed(drift)


def record_sound(row: Build | BaseImage, *, deep: bool) -> None:
    """End the drift of a row that was found whole, whoever put it right.

    A look that was not `deep` has read no blob, so it says nothing of content that differs.
    """
    with transaction.atomic():
        open_here = Drift.objects.open().exclude(state=WorkState.RUNNING)
        if not deep:
            open_here = open_here.exclude(codes__contains=[FindingCode.CONTENT_DIFFERS])
        for drift in open_here.select_for_update().filter(**column_of(row)):
            Drift.objects.filter(pk=drift.pk).update(**end_columns(WorkState.SUCCEEDED))
            tell_healed(drift)


def tell_healed(drift: Drift) -> None:
    record(drift, "healed")
    tell(drift, ImageEvent.HEALED)
    if drift.build is not None:
        # Tags that moved there may have gone with the repository.
        tags = MovingTag.objects.filter(image=drift.build.image_id, build=drift.build)
        if tags.update(pushed_build=None, error=""):
            wake.after_commit(wake.Task.MOVE_TAGS, drift.build.image_id)
        wake.after_commit(wake.Task.TIDY_REPOSITORY, drift.build.image_id)


def give_up(drift: Drift, error: DomainError, log: str = "") -> None:
    """Say that the same digest cannot be made again. Raises `LeaseLost`."""
    with transaction.atomic():
        drift.fail(error, log=log)
        record(drift, "heal_failed", reason=error.code)


def try_later(drift: Drift, error: DomainError, log: str = "") -> None:
    """Have the repair wait for its next attempt, with the reason for people. Raises `LeaseLost`."""
    drift.put_back(
        timezone.now() + pause_after(drift.attempts),
        # It may have gone, or go, once more.
        repository_made=False,
        log=log,
        **error_columns(error),
    )


def pause_after(attempts: int) -> timedelta:
    """How long a repair waits after so many attempts."""
    return timedelta(seconds=PAUSES[min(attempts, len(PAUSES)) - 1])


def push_task(drift: Drift) -> wake.Task:
    """What pushes the image of a drift again: a worker of the lane in which it was built."""
    lane = Lane.of(drift.build.spec) if drift.build else Lane.BUILDS
    return wake.PUSH_AGAIN[lane]


def next_task(drift: Drift) -> wake.Task:
    return push_task(drift) if drift.repository_made else wake.Task.RESTORE_REPOSITORY


def record(drift: Drift, verb: str, actor: Actor | None = None, /, **details: object) -> None:
    if drift.build is not None:
        number = {"build": drift.build.number}
        audit.record_about(f"image.{verb}", actor, drift.build.image, **number, **details)
    else:
        audit.record(
            f"base_image.{verb}",
            actor,
            object_type="base_image",
            object_name=drift.name,
            details=details,
        )


def tell(drift: Drift, event: ImageEvent, **data: object) -> None:
    if drift.build is not None:
        announce(
            event,
            [drift.build.image.name],
            build=drift.build.number,
            digest=drift.build.manifest_digest,
            **data,
        )
