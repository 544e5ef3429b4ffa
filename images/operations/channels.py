"""Operation on channels: point one at a build."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import ManagedImage, MovingTag
from images.queries.capabilities import require_enabled
from images.queries.kept_builds import kept_builds
from images.registry.tags import CHANNEL_RULE, is_channel
from ri_platform.errors import Conflict, Invalid
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace

MAX_CHANNELS = 20


def set_channel(
    actor: Actor,
    image: ManagedImage,
    channel: str,
    number: str | int,
    *,
    workspace: Workspace | None = None,
) -> MovingTag:
    """Point a channel at a build; a worker moves the tag in the registry within a moment.

    The build is kept in the registry as long as the channel points at it. Raises `Invalid` for a name that is
    none of a channel, `NotFound` for a build that did not succeed, `Conflict` for one that the registry may
    no longer have and for an image whose repository lets no tag move.
    """
    require(actor, Action.SET_CHANNEL, image)
    require_enabled()
    if not is_channel(channel):
        raise Invalid(f"{channel[:80]!a} is no channel.", hint=CHANNEL_RULE, field="channel")
    with transaction.atomic():
        locked = ManagedImage.objects.lock(image)
        target = locked.revision_numbered(number)
        if not locked.tags_may_move:
            raise Conflict(
                f"The repository of {locked.name} lets no tag move: it is older than channels.",
                hint="Copy the image to have one with channels.",
            )
        if not kept_builds(locked).filter(pk=target.pk).exists():
            raise Conflict(
                f"Build {target.number} of {locked.name} is no longer kept in the registry.",
                hint="Roll back to it, and point the channel at the new build.",
            )
        others = locked.moving_tags.exclude(name=channel)
        if others.count() >= MAX_CHANNELS:
            raise Conflict(f"{locked.name} has {MAX_CHANNELS} channels, which is the most.")
        before = locked.moving_tags.filter(name=channel).first()
        tag, _ = MovingTag.objects.update_or_create(
            image=locked,
            name=channel,
            defaults={
                "build": target, "set_by": actor.user, "set_at": timezone.now(), "error": "",
            },
        )  # fmt: skip
        record_about(
            "image.channel_set", actor, locked, workspace, channel=channel, build=target.number,
            **({"before": before.build.number} if before else {}),
        )  # fmt: skip
        wake.after_commit(wake.Task.MOVE_TAGS, locked.pk)
    return tag
