"""Moving tags in the registry to where the database has them. Runs as the build jobs, which alone push."""

from __future__ import annotations

import logging

from images import wake
from images.errors import RegistryError, TagTaken
from images.jobs.putting import putting
from images.models import Build, ManagedImage, MovingTag
from images.models.build import OF_THE_PLATFORM
from images.models.moving_tag import MovingTagQuerySet
from images.references import repository_of
from images.registry import connection
from ri_platform.locks import exclusive_if_free

log = logging.getLogger(__name__)


class NotWanted(Exception):
    """The tag is to name another build by now, or its image was removed. It is told to no person."""


def move_tags(image_id: int) -> bool:
    """Put the manifests of an image's builds under its moving tags; any number of times, in any worker.

    The rows are read under a lock, so the newest wish is the last that is pushed. False, at once, if another
    worker holds it: it may be paused, and what it leaves comes again with the sweep.
    """
    with exclusive_if_free("moving-tags", image_id) as free:
        if free:
            tags = MovingTag.objects.unpushed().filter(image=image_id)
            for tag in tags.select_related("image", "build"):
                move_tag(tag)
    return free


def move_next() -> None:
    """Move the tags of the image that waits longest for it, was not tried yet and is nobody's at the moment,
    if there is one.
    """
    waiting = in_time(MovingTag.objects.unpushed().filter(error="")).order_by("set_at")
    for image_id in waiting.values_list("image", flat=True)[: wake.ENOUGH]:
        if move_tags(image_id):
            return


def due() -> MovingTagQuerySet:
    """What the sweeper has moved, longest due first."""
    return in_time(MovingTag.objects.due()).order_by("due_at")


def in_time(tags: MovingTagQuerySet) -> MovingTagQuerySet:
    """Without those that upgrades have left behind, until no upgrade is under way: the images come first."""
    if Build.objects.active().of_the_platform().exists():
        return tags.exclude(set_by=None, build__reason__in=OF_THE_PLATFORM)
    return tags


def move_tag(tag: MovingTag) -> None:
    """What fails is recorded, and tried again by the sweeper unless the registry keeps the tag for good."""
    # A later wish is another wake's.
    same = MovingTag.objects.filter(pk=tag.pk, build=tag.build)
    repository = repository_of(tag.image)

    def confirm() -> None:
        if not same.filter(image__removed_at=None).exists():
            raise NotWanted

    try:
        with connection.registry_client() as client:
            manifest = client.get_manifest(repository, tag.build.manifest_digest)
            with putting(
                tag.image_id, lambda: None, confirm, waits=tag.build.reason in OF_THE_PLATFORM
            ):
                client.put_manifest(repository, tag.name, manifest.raw, manifest.media_type)
    except NotWanted:
        log.info("The tag %s is not wanted any more.", tag)
    except TagTaken as error:
        # The repository is older than tags that move.
        ManagedImage.objects.filter(pk=tag.image_id).update(tags_may_move=False)
        same.update(error=str(error))
    except RegistryError as error:
        log.warning("The tag %s cannot be moved: %s", tag, error)
        same.update(error=str(error))
    else:
        same.update(pushed_build=tag.build, error="")
