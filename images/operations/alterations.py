"""Alterations: propose another spec for an image, and build it."""

from __future__ import annotations

from django.db import transaction

from images import wake
from images.models import (
    Alteration,
    BaseImage,
    Build,
    BuildReason,
    ManagedImage,
    RequirementFiles,
)
from images.models.lane import Lane
from images.models.lease import WorkState
from images.operations.base_images import base_image_for
from images.operations.builds import lock_idle, new_build, set_spec
from images.operations.images import refuse_unavailable
from images.queries.capabilities import require_enabled
from images.queries.fair_queue import refuse_too_many
from images.requirement_files import Supplied
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid, NotFound
from ri_platform.numbers import number_of
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace


def propose_alteration(
    actor: Actor,
    image: ManagedImage,
    wanted: ImageSpec,
    *,
    workspace: Workspace | None = None,
    supplied: Supplied | None = None,
) -> Alteration:
    """Ask what another spec would change; nothing is built before `alter_image`.

    `supplied` are the files that the spec was read from. Raises `Invalid` if nothing would change.
    """
    require(actor, Action.ALTER_IMAGE, image)
    base = base_for_alteration(image, wanted)
    with transaction.atomic():
        refuse_too_many(actor.user, wanted)
        alteration = Alteration.objects.create(
            image=image,
            base_image=base,
            spec=wanted,
            requirement_files=RequirementFiles.objects.keep(image, supplied),
            requested_by=actor.user,
        )
        record_about("image.alteration_proposed", actor, image, workspace, wanted=wanted.summary())
        wake.after_commit(wake.RESOLVE[Lane.of(wanted)], alteration.pk)
    return alteration


def alteration_of(image: ManagedImage, alteration_id: int) -> Alteration:
    """An open alteration of the image. Raises `NotFound`."""
    rows = image.alterations.select_related(
        "image__current_build", "base_image", "requirement_files"
    )
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
            workspace,
            files=alteration.requirement_files,
            lock=alteration.lock,
        )
        alteration.delete()
    return build


def alter_image_unseen(
    actor: Actor,
    image: ManagedImage,
    wanted: ImageSpec,
    *,
    workspace: Workspace | None = None,
    supplied: Supplied | None = None,
) -> Build:
    """Alter an image at once, without looking at what it changes: for programs, by the API.

    Raises as `propose_alteration` and `alter_image`.
    """
    require(actor, Action.ALTER_IMAGE, image)
    base = base_for_alteration(image, wanted)
    with transaction.atomic():
        files = RequirementFiles.objects.keep(image, supplied)
        return build_spec(actor, image, wanted, base, workspace, files=files)


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
    workspace: Workspace | None,
    *,
    files: RequirementFiles | None,
    lock: str = "",
) -> Build:
    """Make `spec` the image's and queue its build; the caller's transaction."""
    locked = lock_idle(image)
    before = locked.spec
    set_spec(locked, spec)
    build = new_build(locked, base, BuildReason.ALTER, actor, files=files, lock=lock)
    record_about(
        "image.altered", actor, locked, workspace,
        build=build.number, before=before.summary(), after=spec.summary(),
        **({"files": files.supplied.names} if files else {}),
    )  # fmt: skip
    return build
