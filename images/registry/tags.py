"""Tags of builds, tags that follow an image from build to build, and the pattern that ECR lets them move by.

Source: ECR user guide, "Preventing image tags from being overwritten": at most five filters, each with at
most two wildcards. A filter that takes the names of channels one by one leaves `build-…` where it is.
"""

from __future__ import annotations

import re

LATEST = "latest"
# Names of channels without a prefix.
CHANNELS = ("stable", "candidate", "production")
CHANNEL_PREFIX = "channel-"
MOVING = (LATEST, *CHANNELS, f"{CHANNEL_PREFIX}*")

_OWN = re.compile(rf"{CHANNEL_PREFIX}[a-z0-9](?:[a-z0-9_.-]{{0,21}}[a-z0-9])?")
# The rule that lets the tag of an old build expire also selects what ends like it.
_LIKE_A_BUILD = re.compile(r".*build-[0-9]+(?:-[a-z]+)?")
# `build-3`, and what refers to it: `build-3-sbom`. A number in a row has nine digits at most.
_OF_A_BUILD = re.compile(r"build-([1-9][0-9]{0,8})(?:-[a-z]+)?")
CHANNEL_RULE = (
    "A channel is stable, candidate or production, or begins with channel-, as in channel-eu, and has at "
    "most 31 lower-case letters, digits and . _ -."
)


def is_channel(name: str) -> bool:
    """Whether an owner may point this tag at a build."""
    own = _OWN.fullmatch(name) and not _LIKE_A_BUILD.fullmatch(name)
    return name in CHANNELS or bool(own)


def moves(tag: str) -> bool:
    """Whether the repositories of this platform let a tag move."""
    return tag in (LATEST, *CHANNELS) or tag.startswith(CHANNEL_PREFIX)


def build_number(tag: str) -> int | None:
    """The build that a tag is of, or None for a tag that no build makes."""
    found = _OF_A_BUILD.fullmatch(tag)
    return int(found[1]) if found else None
