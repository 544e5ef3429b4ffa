"""The manifests that may expire in an image's repository: those of builds that are not kept.

`images.queries.kept_builds` says which are.

What is kept can be rolled back to by tagging what is there. All others are superseded once they have
ended, and never come back: a later success only makes older ones older, and nothing is pinned to them.
Whoever rolls back to one builds it again from its lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from images.models import ManagedImage, UnknownRepository
from images.models.lease import WorkState
from images.queries.kept_builds import kept_builds
from images.registry.ecr.lifecycle import selects
from images.registry.ecr.repositories import ImageDetail
from images.registry.tags import build_number

ENDED = (WorkState.SUCCEEDED, WorkState.FAILED, WorkState.CANCELLED)


@dataclass(frozen=True)
class RetentionState:
    """An image's builds as retention sees them, by number; `digests` are those of the kept builds."""

    superseded: frozenset[int]
    digests: frozenset[str]


# Of an image that had no build before.
NOTHING = RetentionState(frozenset(), frozenset())


def read_retention_state(image: ManagedImage) -> RetentionState:
    ended = image.builds.filter(state__in=ENDED).order_by("-number")
    kept = dict(kept_builds(image).values_list("number", "manifest_digest"))
    numbers = frozenset(ended.values_list("number", flat=True))
    return RetentionState(numbers - kept.keys() - offered_builds(image), frozenset(kept.values()))


def offered_builds(image: ManagedImage) -> frozenset[int]:
    """Builds that no record knows and that can still be adopted, with their SBOM and provenance."""
    listed = UnknownRepository.objects.open().filter(name=image.name)
    return frozenset(int(number) for row in listed for number in row.builds)


def choose_expired_tags(images: Sequence[ImageDetail], state: RetentionState) -> list[str]:
    """For each image of a repository that may go, one of its tags, the oldest build's first.

    An image stays that a kept build is, or that has any tag other than those of superseded builds: also
    one that we know nothing of.
    """
    going = [image for image in images if may_go(image, state)]
    staying = [image for image in images if not may_go(image, state)]
    tags = [min(image.tags, key=tag_order) for image in going]
    safe = [tag for tag in tags if not any(selects(tag, image.tags) for image in staying)]
    return sorted(safe, key=tag_order)


def may_go(image: ImageDetail, state: RetentionState) -> bool:
    return (
        bool(image.tags)
        and image.digest not in state.digests
        and all(build_number(tag) in state.superseded for tag in image.tags)
    )


def tag_order(tag: str) -> tuple[int, str]:
    return build_number(tag) or 0, tag
