"""The listing of an image's repository, beside the rows of the image. Runs as the registry server.

One DescribeImages tells of every tag. What the rows know of is what this database has seen pushed; anything
else is newer than a restored backup, or another image's of the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from images.models import Build, BuildReason, ManagedImage, MovingTag
from images.models.lease import ACTIVE, WorkState
from images.registry.ecr.repositories import ImageDetail
from images.registry.tags import build_number

# A worker in the middle of a removed image may still have put a manifest, and clocks differ.
STILL_PUT = timedelta(minutes=10)
# The row that keeps the number of a newer build from being given again (`record_newer_builds`).
HOLDS_THE_NUMBER = (BuildReason.ADOPT, WorkState.CANCELLED)
ATTESTATIONS = ("sbom", "provenance")


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


def newer_builds(image: ManagedImage, present: Sequence[ImageDetail]) -> list[int]:
    """Builds after the last that succeeded that the repository has and no row accounts for, sorted.

    The rows are read after the listing, so a build of this database always has its own. One that did not
    succeed here has no provenance, unless it did in another course of events, after the backup.
    """
    tags = {tag for item in present for tag in item.tags}
    rows = {build.number: build for build in image.builds.only("number", "state", "reason")}
    revisions = [number for number, build in rows.items() if build.state == WorkState.SUCCEEDED]
    last = max(revisions, default=0)

    def is_newer(number: int) -> bool:
        build = rows.get(number)
        if build is None or (build.reason, build.state) == HOLDS_THE_NUMBER:
            return True
        return build.state not in ACTIVE and f"build-{number}-provenance" in tags

    numbers = {number for tag in tags if (number := build_number(tag)) and number > last}
    return sorted(n for n in numbers if f"build-{n}" in tags and is_newer(n))


def displaced_tags(tags: Sequence[MovingTag], present: Sequence[ImageDetail]) -> list[MovingTag]:
    """Those moving tags, pushed before the listing, that it has at another image or not at all.

    Where their own image is gone, that is a drift, and they follow its repair.
    """
    digests = {tag: item.digest for item in present for tag in item.tags}
    held = {item.digest for item in present}
    return [
        tag
        for tag in tags
        if tag.build.manifest_digest in held and digests.get(tag.name) != tag.build.manifest_digest
    ]


def lacks_attestations(build: Build, present: Sequence[ImageDetail]) -> bool:
    """Whether SBOM or provenance of a build is gone, while its image is there."""
    tags = {tag for item in present for tag in item.tags}
    return build.tag in tags and not {f"{build.tag}-{name}" for name in ATTESTATIONS} <= tags
