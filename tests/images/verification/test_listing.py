"""What the listing of a repository tells beside the rows of its image."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from images.models import BaseImage, ManagedImage, Status
from images.models.lease import WorkState
from images.registry.ecr.repositories import ImageDetail
from images.verification.listing import unknown_tags
from tests import factories


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    """Builds 3 and 5 succeeded, build 4 failed; it began with build 3, as an adopted image does."""
    made = factories.make_image("listed", base=base)
    made.builds.update(number=3, manifest_digest=factories.digest("three"))
    add(made, 4, WorkState.FAILED)
    add(made, 5, WorkState.SUCCEEDED, "five")
    made.removed_at = timezone.now() - timedelta(days=1)
    return made


def add(image: ManagedImage, number: int, state: str, digest: str = "") -> None:
    values = {"state": state, "manifest_digest": digest and factories.digest(digest)}
    if state == WorkState.FAILED:
        values["error_code"] = "registry_failed"
    factories.make_build(image, image.builds.all()[0].base_image, Status.READY, number, **values)


def holding(digest: str, *tags: str, at: datetime | None = None) -> ImageDetail:
    return ImageDetail(factories.digest(digest), tags, 1, at)


@pytest.mark.parametrize(
    ("present", "unknown"),
    [
        (holding("three", "build-3", "stable"), []),
        (holding("three", "stable"), []),
        (holding("pushed before it failed", "build-4"), []),
        (holding("sbom", "build-5-sbom"), []),
        (holding("untagged"), []),
        (holding("older than its adoption", "build-2"), []),
        (holding("six", "build-6", "latest"), ["build-6", "latest"]),
        (holding("sbom", "build-6-sbom"), ["build-6-sbom"]),
        (holding("of another image", "build-5"), ["build-5"]),
        (holding("by hand", "mine"), ["mine"]),
    ],
)
def test_what_the_rows_do_not_account_for_is_unknown(
    image: ManagedImage, present: ImageDetail, unknown: list[str]
) -> None:
    assert unknown_tags(image, [present]) == unknown


def test_what_was_pushed_after_the_removal_is_another_images(image: ManagedImage) -> None:
    before = holding("five", "build-5", at=timezone.now() - timedelta(days=1))
    after = holding("five", "build-5", at=timezone.now())
    assert unknown_tags(image, [before]) == []
    assert unknown_tags(image, [after]) == ["build-5"]
