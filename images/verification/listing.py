"""The listing of an image's repository, beside the rows of the image. Runs as the registry server.

One DescribeImages tells of every tag. What the rows know of is what this database has seen pushed; anything
else is newer than a restored backup, or another image's of the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from images.models import ManagedImage
from images.registry.ecr.repositories import ImageDetail
from images.registry.tags import build_number

# A worker in the middle of a removed image may still have put a manifest, and clocks differ.
STILL_PUT = timedelta(minutes=10)


def unknown_tags(image: ManagedImage, present: Sequence[ImageDetail]) -> list[str]:
    """Tags in a removed image's repository that its rows do not account for, sorted.

    A build that the rows have with another digest, one later than the last that succeeded, an image under
    a foreign tag, and all that was pushed after the removal. Builds before an adopted one have no rows.
    """
    digests = dict(image.builds.values_list("number", "manifest_digest"))
    last = max((number for number, digest in digests.items() if digest), default=0)

    def is_known(tag: str, digest: str) -> bool:
        number = build_number(tag)
        if number is None:
            return digest in digests.values()
        if number not in digests:
            return number < last
        return tag != f"build-{number}" or digests[number] in ("", digest)

    found = set()
    for item in present:
        late = (
            item.pushed_at is not None
            and image.removed_at is not None
            and item.pushed_at > image.removed_at + STILL_PUT
        )
        found |= {tag for tag in item.tags if late or not is_known(tag, item.digest)}
    return sorted(found)
