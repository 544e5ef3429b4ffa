"""Operations on managed images, one function each.

Each checks the access table, then locks, changes and audits in one transaction; a message that wakes
a worker leaves only after the commit. Console, REST, SDK and admin all call these.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from images import wake
from images.errors import IndexUnknown
from images.indexes import Indexes
from images.models import Build, ManagedImage, RequirementFiles
from images.models.lane import Lane
from images.models.managed_image import NAME_RULE, is_valid_name
from images.operations.base_images import base_image_for
from images.operations.import_checks import refuse_unknown
from images.queries.capabilities import os_packages_refusal, require_enabled, source_builds_refusal
from images.queries.fair_queue import is_crowded, refuse_too_many
from images.queries.foresight import foresee
from images.requirement_files import Supplied
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace


def create_image(
    actor: Actor,
    name: str,
    spec: ImageSpec,
    *,
    workspace: Workspace | None = None,
    copied_from: ManagedImage | None = None,
    supplied: Supplied | None = None,
    import_policy: str = "",
    description: str = "",
) -> ManagedImage:
    """Accept a new managed image and its first build; it is the actor's and the workspace's.

    `copied_from` is the image whose spec it began with, `supplied` are the files that the spec was read
    from; both are kept. `import_policy` is an `ImportPolicy`, empty as the installation has it.
    Raises `Invalid` for what cannot be built here, `Conflict` for a name that is taken, also by an image
    whose repository is still being removed, and `TooManyBuilds` beyond what one person may have waiting.
    """
    require(actor, Action.CREATE_IMAGE, workspace)
    require_enabled()
    refuse_invalid_name(name)
    refuse_unknown(import_policy)
    refuse_unavailable(spec)
    base = base_image_for(spec.image_type, spec.python_version)
    with transaction.atomic():
        columns = {
            **spec.columns(),
            "created_by": actor.user,
            "created_in": workspace,
            "copied_from": copied_from,
            "import_policy": import_policy,
            "description": description,
        }
        image, created = ManagedImage.objects.get_or_create(columns, name=name)
        if not created:
            raise name_taken_error(image)
        refuse_too_many(actor.user, spec)
        build = Build(
            image=image,
            number=1,
            base_image=base,
            spec=spec,
            requirement_files=RequirementFiles.objects.keep(image, supplied),
            requested_by=actor.user,
            description=description,
        )
        save_with_foreseen(build)
        record_about("image.created", actor, image, workspace, **details_of(image, supplied))
        wake_for_new(build)
    return image


def save_with_foreseen(build: Build) -> None:
    """Save a first build, with the digest that its image will have and its lock, if they are known."""
    foreseen = foresee(build)
    build.foreseen_digest, build.lock = foreseen.digest, foreseen.lock
    build.save()


def wake_for_new(build: Build) -> None:
    """Wake the worker that makes the repository, and one that resolves meanwhile, unless many wait."""
    messages = [(wake.Task.PREPARE_REPOSITORY, build.image_id)]
    if not is_crowded(Lane.of(build.spec), wake.ENOUGH):
        messages.append((wake.task_of(build), build.pk))
    wake.all_after_commit(messages)


def refuse_invalid_name(name: str) -> None:
    if not is_valid_name(name):
        raise Invalid(f"{name!r} cannot be an image's name.", hint=NAME_RULE, field="name")


def describe_image(
    actor: Actor, image: ManagedImage, description: str, *, workspace: Workspace | None = None
) -> ManagedImage:
    """Set what people read about an image, one line; nothing is built. The next build's annotation has it."""
    require(actor, Action.ALTER_IMAGE, image)
    require_enabled()
    with transaction.atomic():
        locked = ManagedImage.objects.lock(image)
        before, locked.description = locked.description, description
        locked.updated_at = timezone.now()
        locked.save(update_fields=["description", "updated_at"])
        record_about("image.described", actor, locked, workspace, before=before, after=description)
    return locked


def details_of(image: ManagedImage, supplied: Supplied | None) -> dict[str, Any]:
    """A new image, as the audit log tells it."""
    origin = {"copied_from": image.copied_from.name} if image.copied_from else {}
    brought = {"files": supplied.names} if supplied else {}
    policy = {"import_policy": image.import_policy} if image.import_policy else {}
    return {**image.spec.summary(), **origin, **brought, **policy}


def refuse_unavailable(spec: ImageSpec) -> None:
    """Raise `Invalid` for what no worker of this installation can build."""
    if spec.os_packages and (refusal := os_packages_refusal()):
        raise Invalid(
            refusal, hint="Leave the OS packages empty to build this image.", field="os_packages"
        )
    if spec.allow_source and (refusal := source_builds_refusal()):
        raise Invalid(refusal, hint="Ask for wheels alone.", field="allow_source")
    try:
        indexes = Indexes.from_settings().choose(spec.indexes)
        for item in spec.pip_requirements:
            indexes.place(item)
    except IndexUnknown as error:
        raise Invalid(error.message, hint=error.hint, field="indexes") from error


def name_taken_error(image: ManagedImage) -> Conflict:
    if image.is_restorable:
        return Conflict(
            f"An image named {image.name} was removed, and its name is kept while it can be restored.",
            hint="Choose another name, or ask an Organization Administrator to restore or delete it.",
            field="name",
        )
    if image.removed_at is not None:
        return Conflict(
            f"An image named {image.name} is still being removed.",
            hint="The name is free again once its repository is deleted; try again in a moment.",
            field="name",
        )
    return Conflict(
        f"There is a managed image named {image.name} already.",
        hint="Choose another name; images are shared by all workspaces.",
        field="name",
    )
