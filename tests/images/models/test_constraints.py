"""The invariants stand in the database, whichever code writes to it."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from images.models import BaseImage, Build, ManagedImage, Status
from images.models.lease import WorkState
from tests import factories


@pytest.mark.parametrize("name", ["Big", "a", "a--b", "a/b", "a\n", "-a", "9a"])
def test_a_name_outside_the_rule(name: str, base: BaseImage) -> None:
    with pytest.raises(IntegrityError, match="managed_image_name_is_valid"), transaction.atomic():
        ManagedImage.objects.create(name=name, python_version="3.11")


def test_ready_without_a_build(base: BaseImage) -> None:
    with (
        pytest.raises(IntegrityError, match="managed_image_usable_has_a_build"),
        transaction.atomic(),
    ):
        ManagedImage.objects.create(name="x1", python_version="3.11", status=Status.READY)


def test_two_active_builds_of_one_image(base: BaseImage) -> None:
    image = factories.make_image("x1", base=base, status=Status.BUILDING_FIRST_TIME)
    with pytest.raises(IntegrityError, match="build_one_active_per_image"), transaction.atomic():
        Build.objects.create(image=image, number=2, base_image=base, spec=image.spec)


def test_a_success_without_digest_or_lock(base: BaseImage) -> None:
    image = factories.make_image("x1", base=base, status=Status.BUILDING_FIRST_TIME)
    with pytest.raises(IntegrityError, match="build_succeeded_is_complete"), transaction.atomic():
        image.builds.update(state=WorkState.SUCCEEDED)


def test_running_without_a_lease_and_failing_without_a_code(base: BaseImage) -> None:
    image = factories.make_image("x1", base=base, status=Status.BUILDING_FIRST_TIME)
    with pytest.raises(IntegrityError, match="build_running_holds_a_lease"), transaction.atomic():
        image.builds.update(state=WorkState.RUNNING)
    with pytest.raises(IntegrityError, match="build_failed_has_a_code"), transaction.atomic():
        image.builds.update(state=WorkState.FAILED)


def test_two_current_base_images_of_one_kind(base: BaseImage) -> None:
    with pytest.raises(IntegrityError, match="base_image_has_one_current"), transaction.atomic():
        factories.make_base_image()


def test_a_current_base_image_that_is_not_ready(base: BaseImage) -> None:
    with pytest.raises(IntegrityError, match="base_image_current_is_ready"), transaction.atomic():
        BaseImage.objects.update(state=WorkState.RUNNING, lease_expires_at=timezone.now())


def test_removing_an_image_takes_its_builds_along(base: BaseImage) -> None:
    image = factories.make_image("x1", base=base)
    image.delete()
    assert not Build.objects.exists()


def test_an_image_has_the_facts_of_its_current_build_whoever_sets_it(base: BaseImage) -> None:
    """A worker of an earlier version, during an upgrade, knows none of these columns."""
    image = factories.make_image("image", base=base, libraries={"numpy": "1", "pandas": "2"})
    image.refresh_from_db()
    first = image.current_build
    assert first is not None
    assert (image.size_bytes, image.library_count) == (first.size_bytes, first.library_count)
    later = Build.objects.create(
        image=image, number=2, base_image=base, spec=image.spec, state="succeeded", lock="x",
        manifest_digest=factories.digest("later"), size_bytes=77, library_count=5,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE images_managedimage SET current_build_id = %s WHERE id = %s",
            [later.pk, image.pk],
        )
    image.refresh_from_db()
    assert (image.size_bytes, image.library_count) == (77, 5)
    ManagedImage.objects.filter(pk=image.pk).update(current_build=None, status="FAILED")
    image.refresh_from_db()
    assert (image.size_bytes, image.library_count) == (0, 0)
