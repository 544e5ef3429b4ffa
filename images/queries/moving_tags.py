"""The moving tags of an image as its page shows them: where they point, and where they may point."""

from __future__ import annotations

from images.models import ManagedImage, MovingTag
from images.queries.kept_builds import kept_builds
from images.registry.tags import CHANNELS, LATEST


def moving_tags(image: ManagedImage) -> list[MovingTag]:
    """`latest` first, then the channels by their names."""
    found = image.moving_tags.select_related("build")
    return sorted(found, key=lambda tag: (tag.name != LATEST, tag.name))


def channels_of(image: ManagedImage) -> list[str]:
    """The names of channels to offer: the usual ones, and those that the image has."""
    own = image.moving_tags.filter(name__startswith="channel-").values_list("name", flat=True)
    return [*CHANNELS, *own]


def taggable_builds(image: ManagedImage) -> set[int]:
    """The numbers of the builds that a channel may point at: the registry keeps them."""
    return set(kept_builds(image).values_list("number", flat=True))
