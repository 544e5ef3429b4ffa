"""Bringing images up to date when their base image has moved on, without anyone asking.

Whatever the number of images, few upgrades are under way at a time, and none begins while somebody's
own build waits. Each keeps its lock, so nothing but the base changes: its layers are known, and the
build is a new manifest (`images.jobs.image_build`). In the same way images are made anew that hold
what is trusted no more (`Build.renewal`).
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import F

from images.models import BaseImage, Build, BuildReason, ImageEvent, ManagedImage, Status
from images.models.build import OF_THE_PLATFORM
from images.models.lane import Lane
from images.models.lease import WorkState
from images.operations.builds import new_build, set_spec
from images.operations.webhooks import announce
from ri_platform.locks import exclusive_if_free
from workspaces.audit import record_about


def mark_outdated(base: BaseImage) -> int:
    """Images whose current build stands on an older base of this kind; returns how many there are.

    Call it in the transaction that makes `base` the current one.
    """
    behind = (
        ManagedImage.objects.existing()
        .filter(
            status=Status.READY,
            current_build__base_image__image_type=base.image_type,
            current_build__base_image__python_version=base.python_version,
        )
        .exclude(current_build__base_image=base)
    )
    names = dict(behind.select_for_update(of=("self",)).order_by("pk").values_list("pk", "name"))
    announce(ImageEvent.OUTDATED, names.values(), base_image=str(base))
    return ManagedImage.objects.filter(pk__in=names).update(status=Status.OUTDATED)


def dispatch() -> int:
    """Begin as many upgrades as there is room for; returns how many. Safe to call at any time.

    The image that a model ran on last goes first, then what was left longest. Builds that people asked for
    pass: while one of them waits, no upgrade begins.
    """
    begun = 0
    with exclusive_if_free("upgrades", 0) as free:
        # Whoever is at it begins what there is room for, and the next sweep comes after a worker that hangs.
        while free and there_is_room():
            with transaction.atomic():
                if not begin_next():
                    break
            begun += 1
    return begun


def there_is_room() -> bool:
    upgrades = Build.objects.active().of_the_platform()
    # What waits for something else than a builder, or in the lane of builds from source, may wait long.
    waiting = Lane.BUILDS.among(Build.objects.startable()).filter(state=WorkState.QUEUED)
    others = waiting.exclude(reason__in=OF_THE_PLATFORM)
    return upgrades.count() < settings.UPGRADES_AT_ONCE and not others.exists()


def begin_next() -> bool:
    """Queue the upgrade of one outdated image, if there is one that nobody else is at."""
    image = (
        ManagedImage.objects.existing()
        .filter(status=Status.OUTDATED)
        .select_for_update(skip_locked=True)
        .order_by(F("last_used_at").desc(nulls_last=True), "updated_at")
        .first()
    )
    if image is None or image.current_build is None or image.builds.active().exists():
        return False
    current = image.current_build
    base = BaseImage.objects.current().filter(
        image_type=current.base_image.image_type,
        python_version=current.base_image.python_version,
    )
    target = base.first()
    if target is None:
        return False
    reason, files = BuildReason.UPGRADE, image.requirement_files
    if current.renewal:
        # What is made anew is that build, not what an alteration that failed since then asked for.
        reason, files = BuildReason.RENEW, current.requirement_files
        set_spec(image, current.spec)
    build = new_build(image, target, reason, None, files=files, lock=current.lock)
    record_about("image.upgrade_begun", None, image, build=build.number, base=str(target))
    return True


def after_build(build: Build) -> None:
    """Go on with the next upgrade after one has ended. Their manifests keep to a pace
    (`images.jobs.put_pace`).
    """
    if build.reason in OF_THE_PLATFORM:
        dispatch()
