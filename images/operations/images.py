"""What people do with managed images: one function a verb.

Each checks the access table, then locks, changes and audits in one transaction; a message that wakes
a worker leaves only after the commit. Console, REST, SDK and admin all call these.
"""

from __future__ import annotations

from django.db import transaction

from images import wake
from images.errors import IndexUnknown
from images.indexes import Indexes
from images.models import Build, ManagedImage, RequirementFiles
from images.models.managed_image import NAME_RULE, is_valid_name
from images.operations.base_images import base_image_for
from images.queries.capabilities import os_packages_refusal, require_enabled, source_builds_refusal
from images.queries.fair_queue import refuse_too_many
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
) -> ManagedImage:
    """Accept a new managed image and its first build; it is the actor's and the workspace's.

    `copied_from` is the image whose spec it began with, if any: the two can be compared. `supplied` are
    the files that the spec was read from, which are kept.
    Raises `Invalid` for what cannot be built here and `Conflict` for a name that is taken, also by an
    image whose repository is still being removed, `TooManyBuilds` beyond what one person may have waiting.
    """
    require(actor, Action.CREATE_IMAGE, workspace)
    require_enabled()
    if not is_valid_name(name):
        raise Invalid(f"{name!r} cannot be an image's name.", hint=NAME_RULE, field="name")
    refuse_unavailable(spec)
    base = base_image_for(spec.image_type, spec.python_version)
    with transaction.atomic():
        image, created = ManagedImage.objects.get_or_create(
            name=name,
            defaults={
                **spec.columns(),
                "created_by": actor.user,
                "created_in": workspace,
                "copied_from": copied_from,
            },
        )
        if not created:
            raise name_taken_error(image)
        refuse_too_many(actor.user, spec)
        Build.objects.create(
            image=image,
            number=1,
            base_image=base,
            spec=spec,
            requirement_files=RequirementFiles.objects.keep(image, supplied),
            requested_by=actor.user,
        )
        origin = {"copied_from": copied_from.name} if copied_from else {}
        brought = {"files": supplied.names} if supplied else {}
        record_about(
            "image.created", actor, image, workspace, **spec.summary(), **origin, **brought
        )
        wake.after_commit(wake.Task.PREPARE_REPOSITORY, image.pk)
    return image


def refuse_unavailable(spec: ImageSpec) -> None:
    """Raise `Invalid` for what no worker of this installation can build."""
    if spec.os_packages and (refusal := os_packages_refusal()):
        raise Invalid(
            refusal, hint="Leave the OS packages empty to build this image.", field="os_packages"
        )
    if spec.allow_source and (refusal := source_builds_refusal()):
        raise Invalid(refusal, hint="Ask for wheels alone.", field="allow_source")
    try:
        indexes = Indexes.configured().choose(spec.indexes)
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
