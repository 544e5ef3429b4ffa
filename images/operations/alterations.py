"""Operations on alterations: propose another spec for an image, and build it."""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import (
    Alteration,
    BaseImage,
    Build,
    BuildReason,
    ManagedImage,
    RequirementFiles,
)
from images.models.lease import WorkState
from images.operations.base_images import base_image_for
from images.operations.builds import lock_idle, new_build, set_spec
from images.operations.images import refuse_unavailable
from images.queries.capabilities import require_enabled
from images.queries.fair_queue import refuse_too_many
from images.queries.missing_libraries import missing_natives, packages_to_add
from images.requirement_files import Supplied
from images.requirements import OSPackage, PipRequirement
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

    `supplied` are the files that the spec was read from. Raises `Invalid` if nothing would change, and
    `NotFound` if the image was removed meanwhile.
    """
    require(actor, Action.ALTER_IMAGE, image)
    base = base_for_alteration(image, wanted)
    lock = lock_that_stays(image, wanted)
    resolved = {"state": WorkState.SUCCEEDED, "finished_at": timezone.now()} if lock else {}
    with transaction.atomic():
        image = ManagedImage.objects.lock(image)
        refuse_too_many(actor.user, wanted)
        alteration = Alteration.objects.create(
            image=image,
            base_image=base,
            spec=wanted,
            requirement_files=RequirementFiles.objects.keep(image, supplied),
            requested_by=actor.user,
            lock=lock,
            **resolved,
        )
        record_about("image.alteration_proposed", actor, image, workspace, wanted=wanted.summary())
        if not lock:
            wake.after_commit(wake.task_of(alteration), alteration.pk)
    return alteration


def propose_missing_packages(
    actor: Actor, image: ManagedImage, *, workspace: Workspace | None = None
) -> Alteration:
    """Propose the image's spec with the OS packages that have the native libraries it lacks.

    Raises `Invalid` if no such package is known, and as `propose_alteration`.
    """
    require(actor, Action.ALTER_IMAGE, image)
    spec, files = image.spec, image.requirement_files
    present = {package.name for package in spec.os_packages}
    missing = packages_to_add(missing_natives(image.current_build))
    added = tuple(OSPackage(name) for name in missing if name not in present)
    if not added:
        raise Invalid(
            f"No OS package is known that {image.name} lacks.",
            hint="Look at its page again; its build may be another one by now.",
        )
    return propose_alteration(
        actor,
        image,
        replace(spec, os_packages=(*spec.os_packages, *added)),
        workspace=workspace,
        supplied=files.supplied if files else None,
    )


def propose_library(
    actor: Actor,
    image: ManagedImage,
    library: PipRequirement,
    *,
    workspace: Workspace | None = None,
) -> Alteration:
    """Propose the image's spec with one more library, or with other versions of one that it asks for.

    Raises `Invalid` for an image of a lock, which names all its libraries, and as `propose_alteration`.
    """
    require(actor, Action.ALTER_IMAGE, image)
    spec, files = image.spec, image.requirement_files
    if spec.is_locked:
        raise Invalid(
            f"{image.name} is built from a complete lock, which leaves no library to add.",
            hint=f"Add {library} where the lock is made, and alter the image with the new lock.",
        )
    others = (
        item for item in spec.pip_requirements if item.normalized_name != library.normalized_name
    )
    return propose_alteration(
        actor,
        image,
        replace(spec, pip_requirements=(*others, library)),
        workspace=workspace,
        supplied=files.supplied if files else None,
    )


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
        lock = lock_that_stays(image, wanted)
        return build_spec(actor, image, wanted, base, workspace, files=files, lock=lock)


def lock_that_stays(image: ManagedImage, wanted: ImageSpec) -> str:
    """The current build's lock, if only run-time settings change; else empty.

    A library that is no longer trusted is a reason to resolve again.
    """
    current = image.current_build
    if current is None or current.renewal:
        return ""
    same = wanted.same_content(image.spec) and wanted.same_content(current.spec)
    return current.lock if same else ""


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
