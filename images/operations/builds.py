"""Operations on an existing image: rebuild, alter, roll back, cancel.

As in `images.operations.images`, each verb is one function: access, lock, change, audit, one transaction.
"""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from images import wake
from images.models import BaseImage, Build, BuildReason, ManagedImage, RequirementFiles, Status
from images.models.lease import WorkState
from images.models.managed_image import settled_status
from images.operations.base_images import base_image_for
from images.queries.capabilities import require_enabled, source_builds_refusal
from images.queries.fair_queue import refuse_too_many
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
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
        build = new_build(locked, base, BuildReason.REBUILD, actor, files=locked.requirement_files)
        record_about("image.rebuild_requested", actor, locked, workspace, build=build.number)
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
        build = new_build(locked, base, BuildReason.REBUILD, actor, files=locked.requirement_files)
        record_about("image.source_builds_allowed", actor, locked, workspace, build=build.number)
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
        build = new_build(
            locked, target.base_image, BuildReason.ROLL_BACK, actor,
            files=target.requirement_files, lock=target.lock, description=target.description,
        )  # fmt: skip
        record_about(
            "image.rolled_back", actor, locked, workspace, build=build.number, to=target.number
        )
    return build


def cancel_build(
    actor: Actor,
    image: ManagedImage,
    *,
    number: int | None = None,
    workspace: Workspace | None = None,
) -> Build:
    """Stop an image's active build; its worker notices within two seconds.

    The image falls back to its current build, if it has one. Raises `Conflict` if nothing is active, or
    another build than the one of this `number`.
    """
    require(actor, Action.CANCEL_BUILD, image)
    require_enabled()
    with transaction.atomic():
        locked = ManagedImage.objects.lock(image)
        build = locked.builds.active().first()
        if build is None:
            raise Conflict(f"No build of {locked.name} is under way.")
        if number not in (None, build.number):
            raise Conflict(f"Build {number} of {locked.name} has ended already.")
        now = timezone.now()
        build.state, build.finished_at = WorkState.CANCELLED, now
        build.save(update_fields=["state", "finished_at"])
        locked.status, locked.updated_at = settled_status(locked), now
        locked.save(update_fields=["status", "updated_at"])
        record_about("image.build_cancelled", actor, locked, workspace, build=build.number)
        wake.after_commit(wake.Task.TIDY_REPOSITORY, locked.pk)
    return build


# --- what the verbs share ---------------------------------------------------------------------------------


def lock_idle(image: ManagedImage) -> ManagedImage:
    """The locked row of an image that nothing is being built for. Raises `Conflict`."""
    locked = ManagedImage.objects.lock(image)
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
    files: RequirementFiles | None,
    lock: str = "",
    description: str | None = None,
) -> Build:
    """Queue the next build of a locked image; with a `lock`, just that is built. Raises `TooManyBuilds`.

    `files` are those that its spec was read from. `description` is the image's own unless given.
    """
    if actor is not None:
        refuse_too_many(actor.user, image.spec)
    last = image.builds.aggregate(last=Max("number"))["last"] or 0
    build = Build.objects.create(
        image=image,
        number=last + 1,
        base_image=base,
        spec=image.spec,
        requirement_files=files,
        lock=lock,
        reason=reason,
        requested_by=actor.user if actor else None,
        description=image.description if description is None else description,
    )
    image.status = Status.REBUILDING if image.current_build_id else Status.BUILDING_FIRST_TIME
    image.repository_error = ""
    image.updated_at = timezone.now()
    image.save(update_fields=["status", "repository_error", "updated_at"])
    wake.after_commit(wake.Task.PREPARE_REPOSITORY, image.pk)
    return build
