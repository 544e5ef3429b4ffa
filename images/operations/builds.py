"""What people do with an image that exists: rebuild, alter, roll back, cancel.

As in `images.operations.images`, each verb is one function: access, lock, change, audit, one transaction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from images import wake
from images.models import Alteration, BaseImage, Build, BuildReason, ManagedImage, Status, TaskDue
from images.models.lane import Lane
from images.models.lease import WorkState
from images.operations.images import (
    base_image_for,
    refuse_unavailable,
    require_enabled,
)
from images.queries.capabilities import source_builds_refusal
from images.queries.fair_queue import refuse_too_many
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid, NotFound
from ri_platform.numbers import number_of
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.models import Workspace


def rebuild_image(
    actor: Actor, image: ManagedImage, *, workspace: Workspace | None = None
) -> Build:
    """Build an image again from what was asked for; its current build stays usable meanwhile.

    Raises `Conflict` while a build of it is queued or running.
    """
    require(actor, Action.REBUILD_IMAGE, image)
    require_enabled()
    with transaction.atomic():
        locked = lock_idle(image)
        base = base_image_for(locked.image_type, locked.python_version)
        build = new_build(locked, base, BuildReason.REBUILD, actor)
        record("image.rebuild_requested", actor, locked, workspace, build=build.number)
    return build


def build_from_source(
    actor: Actor, image: ManagedImage, *, workspace: Workspace | None = None
) -> Build:
    """Build an image again, now with source builds for libraries that have no wheel; it stays so.

    Raises `Invalid` where nothing can be built from source, `Conflict` as `rebuild_image`.
    """
    require(actor, Action.BUILD_FROM_SOURCE, image)
    require_enabled()
    if refusal := source_builds_refusal():
        raise Invalid(refusal, hint="Choose a version that has a wheel.")
    with transaction.atomic():
        locked = lock_idle(image)
        set_spec(locked, replace(locked.spec, allow_source=True))
        base = base_image_for(locked.image_type, locked.python_version)
        build = new_build(locked, base, BuildReason.REBUILD, actor)
        record("image.source_builds_allowed", actor, locked, workspace, build=build.number)
    return build


def propose_alteration(
    actor: Actor, image: ManagedImage, wanted: ImageSpec, *, workspace: Workspace | None = None
) -> Alteration:
    """Ask what another spec would change; nothing is built before `alter_image`.

    Raises `Invalid` if nothing would change.
    """
    require(actor, Action.ALTER_IMAGE, image)
    base = base_for_alteration(image, wanted)
    with transaction.atomic():
        refuse_too_many(actor.user, wanted)
        alteration = Alteration.objects.create(
            image=image, base_image=base, spec=wanted, requested_by=actor.user
        )
        record("image.alteration_proposed", actor, image, workspace, wanted=wanted.columns())
        wake.after_commit(wake.RESOLVE[Lane.of(wanted)], alteration.pk)
    return alteration


def alteration_of(image: ManagedImage, alteration_id: int) -> Alteration:
    """An open alteration of the image. Raises `NotFound`."""
    rows = image.alterations.select_related("image__current_build", "base_image")
    wanted = number_of(alteration_id, 63)
    found = None if wanted is None else rows.filter(pk=wanted).first()
    if found is None:
        raise NotFound(
            "This alteration is no longer open.", hint="It was built, or is older than a day."
        )
    return found


def alter_image(
    actor: Actor, alteration: Alteration, *, workspace: Workspace | None = None
) -> Build:
    """Make the alteration the image's spec and build its lock: what was shown is what is built.

    Raises `Conflict` while a build is active, or if the alteration was not resolved.
    """
    require(actor, Action.ALTER_IMAGE, alteration.image)
    require_enabled()
    if alteration.state != WorkState.SUCCEEDED:
        raise Conflict(
            "This alteration has no lock that could be built.", hint="Propose it once more."
        )
    with transaction.atomic():
        build = build_spec(
            actor,
            alteration.image,
            alteration.spec,
            alteration.base_image,
            alteration.lock,
            workspace,
        )
        alteration.delete()
    return build


def alter_image_unseen(
    actor: Actor, image: ManagedImage, wanted: ImageSpec, *, workspace: Workspace | None = None
) -> Build:
    """Alter an image at once, without looking at what it changes: for programs, by the API.

    Raises as `propose_alteration` and `alter_image`.
    """
    require(actor, Action.ALTER_IMAGE, image)
    base = base_for_alteration(image, wanted)
    with transaction.atomic():
        return build_spec(actor, image, wanted, base, "", workspace)


def base_for_alteration(image: ManagedImage, wanted: ImageSpec) -> BaseImage:
    """The base that an altered image would stand on. Raises `Invalid` if nothing would change."""
    require_enabled()
    refuse_unavailable(wanted)
    base = base_image_for(wanted.image_type, wanted.python_version)
    if wanted == image.spec:
        raise Invalid(
            f"This is what {image.name} was asked for already.",
            hint="Change something, or rebuild the image to get newer versions.",
        )
    return base


def build_spec(
    actor: Actor,
    image: ManagedImage,
    spec: ImageSpec,
    base: BaseImage,
    lock: str,
    workspace: Workspace | None,
) -> Build:
    """Make `spec` the image's and queue its build; the caller's transaction."""
    locked = lock_idle(image)
    before = locked.spec
    set_spec(locked, spec)
    build = new_build(locked, base, BuildReason.ALTER, actor, lock=lock)
    record(
        "image.altered", actor, locked, workspace,
        build=build.number, before=before.columns(), after=spec.columns(),
    )  # fmt: skip
    return build


def roll_back_image(
    actor: Actor, image: ManagedImage, number: str | int, *, workspace: Workspace | None = None
) -> Build:
    """Make an earlier build's image current again, by a new build of its lock on its base.

    The repository holds the image of a build that is kept (`images.jobs.retention`), so the new build is a
    manifest push; an older one is made again. Raises `NotFound` for a build that did not succeed,
    `Conflict` for the current one or while a build is active.
    """
    require(actor, Action.ROLL_BACK_IMAGE, image)
    require_enabled()
    with transaction.atomic():
        locked = lock_idle(image)
        target = locked.revision_numbered(number)
        if target.pk == locked.current_build_id:
            raise Conflict(f"Build {target.number} is the current one of {locked.name}.")
        set_spec(locked, target.spec)
        build = new_build(locked, target.base_image, BuildReason.ROLL_BACK, actor, lock=target.lock)
        record("image.rolled_back", actor, locked, workspace, build=build.number, to=target.number)
    return build


def cancel_build(actor: Actor, image: ManagedImage, *, workspace: Workspace | None = None) -> Build:
    """Stop an image's active build; its worker notices within two seconds.

    The image falls back to its current build, if it has one. Raises `Conflict` if nothing is active.
    """
    require(actor, Action.CANCEL_BUILD, image)
    require_enabled()
    with transaction.atomic():
        locked = lock_existing(image)
        build = locked.builds.active().first()
        if build is None:
            raise Conflict(f"No build of {locked.name} is under way.")
        now = timezone.now()
        build.state, build.finished_at = WorkState.CANCELLED, now
        build.save(update_fields=["state", "finished_at"])
        locked.status, locked.updated_at = settled_status(locked), now
        locked.save(update_fields=["status", "updated_at"])
        record("image.build_cancelled", actor, locked, workspace, build=build.number)
        wake.after_commit(wake.Task.TIDY_REPOSITORY, locked.pk)
    return build


def wake_build(actor: Actor, build: Build) -> None:
    """Send a build that waits to a worker now, without waiting for the sweeper.

    Raises `Conflict` if it has ended, or a worker is at it.
    """
    require(actor, Action.WAKE_BUILD)
    with transaction.atomic():
        if not Build.objects.claimable().filter(pk=build.pk).exists():
            raise Conflict("It has ended, or a worker is at it.")
        record("image.build_woken", actor, build.image, None, build=build.number)
        wake.after_commit(wake.Task.PREPARE_REPOSITORY, build.image_id)


def wake_task(actor: Actor, due: TaskDue) -> None:
    """Send what is due to a worker now, without waiting for the sweeper.

    Raises `Conflict` if a worker is at it.
    """
    require(actor, Action.WAKE_BUILD)
    if (
        due.state == WorkState.RUNNING
        and due.lease_expires_at
        and due.lease_expires_at > timezone.now()
    ):
        raise Conflict("A worker is at it.")
    with transaction.atomic():
        audit.record("task.woken", actor, object_type="task", object_name=str(due))
        wake.after_commit(wake.Task(f"images.tasks.{due.task}"), due.row)


# --- what the verbs share ---------------------------------------------------------------------------------


def lock_existing(image: ManagedImage) -> ManagedImage:
    locked = ManagedImage.objects.existing().select_for_update().filter(pk=image.pk).first()
    if locked is None:
        raise NotFound(f"There is no managed image named {image.name}.")
    return locked


def lock_idle(image: ManagedImage) -> ManagedImage:
    """The locked row of an image that nothing is being built for. Raises `Conflict`."""
    locked = lock_existing(image)
    if locked.builds.active().exists():
        raise Conflict(
            f"{locked.name} is being built already.",
            hint="Wait until that build has ended, or cancel it.",
        )
    return locked


def set_spec(image: ManagedImage, spec: ImageSpec) -> None:
    image.spec = spec
    image.save(update_fields=list(spec.columns()))


def new_build(
    image: ManagedImage,
    base: BaseImage,
    reason: BuildReason,
    actor: Actor | None,
    *,
    lock: str = "",
) -> Build:
    """Queue the next build of a locked image; with a `lock`, just that is built. Raises `TooManyBuilds`."""
    if actor is not None:
        refuse_too_many(actor.user, image.spec)
    last = image.builds.aggregate(last=Max("number"))["last"] or 0
    build = Build.objects.create(
        image=image,
        number=last + 1,
        base_image=base,
        spec=image.spec,
        lock=lock,
        reason=reason,
        requested_by=actor.user if actor else None,
    )
    image.status = Status.REBUILDING if image.current_build_id else Status.BUILDING_FIRST_TIME
    image.repository_error = ""
    image.updated_at = timezone.now()
    image.save(update_fields=["status", "repository_error", "updated_at"])
    wake.after_commit(wake.Task.PREPARE_REPOSITORY, image.pk)
    return build


def settled_status(image: ManagedImage) -> Status:
    """What an image is with no build under way: it depends on its current build alone."""
    if image.current_build is None:
        return Status.FAILED
    if image.current_build.renewal or not image.current_build.base_image.is_current:
        return Status.OUTDATED
    return Status.READY


def record(
    event: str,
    actor: Actor | None,
    image: ManagedImage,
    workspace: Workspace | None,
    **details: Any,
) -> None:
    audit.record(
        event,
        actor,
        object_type="managed_image",
        object_name=image.name,
        workspace=workspace,
        details=details,
    )
