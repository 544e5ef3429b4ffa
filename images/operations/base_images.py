"""Operations on base images: import, retire, and the choice of one for a new build."""

from __future__ import annotations

from django.db import transaction

from images import wake
from images.models import BaseImage
from images.models.base_image import BaseImageQuerySet
from images.models.base_source import Source
from images.models.lease import WorkState
from images.queries.capabilities import require_enabled
from ri_platform.errors import Conflict, Invalid
from ri_platform.ready import Given, Ready
from workspaces import audit
from workspaces.access import Action, Actor, require


def import_base_image(
    actor: Actor | None,
    *,
    image_type: str,
    python_version: str,
    platform_version: str,
    source: str,
) -> BaseImage:
    """Ask for a base image; a version that failed to import before is tried again.

    `actor` is None for the platform itself and for `manage.py`. Raises `Invalid` for an unknown source, and
    `Conflict` if this version is there or being imported.
    """
    if actor is not None:
        require(actor, Action.MANAGE_BASE_IMAGES)
    require_enabled()
    source = str(Source.parse(source))
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


def of_a_kind() -> BaseImageQuerySet:
    return BaseImage.objects.filter(
        image_type=Given("image_type"), python_version=Given("python_version")
    )


CURRENT: Ready[BaseImage] = Ready(lambda: of_a_kind().current()[:1])
ON_ITS_WAY: Ready[BaseImage] = Ready(lambda: of_a_kind().active().order_by("-created_at")[:1])


def base_image_for(image_type: str, python_version: str) -> BaseImage:
    """The base image a new build starts from: the current one, else one that is on its way.

    Raises `Invalid` if the platform provides none.
    """
    asked = {"image_type": image_type, "python_version": python_version}
    base = CURRENT.first(**asked) or ON_ITS_WAY.first(**asked)
    if base is None:
        python = f" with Python {python_version}" if python_version else ""
        raise Invalid(
            f"The platform provides no base image of type {image_type}{python}.",
            hint="Choose another image type or Python version.",
            field="python_version",
        )
    return base
