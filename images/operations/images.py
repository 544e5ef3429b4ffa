"""What people do with managed images: one function a verb.

Each checks the access table, then locks, changes and audits in one transaction; a message that wakes
a worker leaves only after the commit. Console, REST, SDK and admin all call these.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.db import transaction

from images import wake
from images.models import BaseImage, Build, ManagedImage
from images.models.lease import WorkState
from images.models.managed_image import NAME_PATTERN, NAME_RULE
from images.queries.capabilities import os_packages_refusal, source_builds_refusal
from images.queries.fair_queue import refuse_too_many
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid, NotFound, Unavailable
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.guard import locates
from workspaces.models import User, Workspace


def image_named(user: User, name: str) -> ManagedImage:
    """The image of this name, if `user` may see it. Raises `NotFound`."""
    found = None
    if is_valid_name(name):
        images = ManagedImage.objects.visible_to(user).select_related(
            "current_build__base_image", "created_by", "created_in"
        )
        found = images.filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no managed image named {name}.")
    return found


@locates("name", "image", str, owned=True)
def image_of(actor: Actor, name: str) -> ManagedImage:
    """The image that a URL names, for an action that is its owners'. Raises `NotFound`."""
    require_enabled()
    return image_named(actor.user, name)


def copy_name(image: ManagedImage) -> str:
    """A name for a copy of an image that nobody has taken yet; empty if none comes to mind."""
    wanted = [f"{image.name}-copy", *(f"{image.name}-copy-{number}" for number in range(2, 20))]
    taken = set(ManagedImage.objects.filter(name__in=wanted).values_list("name", flat=True))
    return next((name for name in wanted if name not in taken and is_valid_name(name)), "")


def is_valid_name(name: str) -> bool:
    return 2 <= len(name) <= 128 and re.fullmatch(NAME_PATTERN, name) is not None


def create_image(
    actor: Actor,
    name: str,
    spec: ImageSpec,
    *,
    workspace: Workspace | None = None,
    copied_from: ManagedImage | None = None,
) -> ManagedImage:
    """Accept a new managed image and its first build; it is the actor's and the workspace's.

    `copied_from` is the image whose spec it began with, if any: the two can be compared.
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
            raise name_taken(image)
        refuse_too_many(actor.user, spec)
        Build.objects.create(
            image=image, number=1, base_image=base, spec=spec, requested_by=actor.user
        )
        audit.record(
            "image.created",
            actor,
            object_type="managed_image",
            object_name=image.name,
            workspace=workspace,
            details={
                **spec.columns(),
                **({"copied_from": copied_from.name} if copied_from else {}),
            },
        )
        wake.after_commit(wake.Task.PREPARE_REPOSITORY, image.pk)
    return image


def import_base_image(
    actor: Actor | None,
    *,
    image_type: str,
    python_version: str,
    platform_version: str,
    source: str,
) -> BaseImage:
    """Ask for a base image; a version that failed to import before is tried again.

    `actor` is None for the platform itself and for `manage.py`. Raises `Conflict` if this version is there or
    being imported.
    """
    if actor is not None:
        require(actor, Action.MANAGE_BASE_IMAGES)
    require_enabled()
    with transaction.atomic():
        base, created = BaseImage.objects.get_or_create(
            image_type=image_type,
            python_version=python_version,
            platform_version=platform_version,
            defaults={"source": source},
        )
        if not created:
            base = BaseImage.objects.select_for_update().get(pk=base.pk)
            if base.state != WorkState.FAILED:
                done = base.state == WorkState.SUCCEEDED
                raise Conflict(
                    f"The base image {base} is {'there' if done else 'being imported'} already.",
                    hint="Give another platform version to import it anew.",
                )
            base.state, base.source, base.attempts = WorkState.QUEUED, source, 0
            base.save(update_fields=["state", "source", "attempts"])
        audit.record(
            "base_image.import_requested",
            actor,
            object_type="base_image",
            object_name=str(base),
            details={"source": source},
        )
        wake.after_commit(wake.Task.PREPARE_BASE_REPOSITORY, base.pk)
    return base


def retire_base_image(actor: Actor, base: BaseImage) -> None:
    """Offer a base image no more; images that stand on it stay as they are, and can be rolled back to.

    Raises `Conflict` for one that is not the current of its kind.
    """
    require(actor, Action.MANAGE_BASE_IMAGES)
    with transaction.atomic():
        locked = BaseImage.objects.select_for_update().get(pk=base.pk)
        if not locked.is_current:
            raise Conflict(f"{locked} is not offered as it is.")
        locked.is_current = False
        locked.save(update_fields=["is_current"])
        audit.record("base_image.retired", actor, object_type="base_image", object_name=str(locked))


def refuse_unavailable(spec: ImageSpec) -> None:
    """Raise `Invalid` for what no worker of this installation can build."""
    if spec.os_packages and (refusal := os_packages_refusal()):
        raise Invalid(
            refusal, hint="Leave the OS packages empty to build this image.", field="os_packages"
        )
    if spec.allow_source and (refusal := source_builds_refusal()):
        raise Invalid(refusal, hint="Ask for wheels alone.", field="allow_source")


def base_image_for(image_type: str, python_version: str) -> BaseImage:
    """The base image a new build starts from: the current one, else one that is on its way.

    Raises `Invalid` if the platform provides none.
    """
    candidates = BaseImage.objects.filter(image_type=image_type, python_version=python_version)
    base = candidates.current().first() or candidates.active().order_by("-created_at").first()
    if base is None:
        raise Invalid(
            f"The platform provides no base image of type {image_type} "
            f"with Python {python_version}.",
            hint="Choose another image type or Python version.",
            field="python_version",
        )
    return base


def name_taken(image: ManagedImage) -> Conflict:
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


def require_enabled() -> None:
    if not settings.IMAGE_REGISTRY_ENABLED:
        raise Unavailable(
            "The Managed Image Registry is turned off on this instance.",
            hint="An operator can turn it on with RI_IMAGE_REGISTRY_ENABLE.",
        )
