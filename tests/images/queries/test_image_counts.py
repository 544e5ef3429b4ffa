"""Kept counts of images are always what counting all images gives."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from images.models import BaseImage, Build, ImageCount, ManagedImage, Status
from tests import factories
from tests.images.queries.kept_counts import assert_counts_are_true

pytestmark = pytest.mark.django_db


def test_images_of_one_statement_are_counted_together(base: BaseImage) -> None:
    factories.make_images([f"image-{number}" for number in range(40)], base=base)
    assert_counts_are_true()
    before = ImageCount.objects.count()
    ManagedImage.objects.update(status=Status.OUTDATED)
    assert ImageCount.objects.count() == before + 2
    assert_counts_are_true()


def test_what_changes_nothing_that_is_counted_leaves_no_row(base: BaseImage) -> None:
    image = factories.make_image("one", base=base)
    before = ImageCount.objects.count()
    ManagedImage.objects.filter(pk=image.pk).update(updated_at=timezone.now())
    ManagedImage.objects.filter(name="nosuchimage").update(status=Status.FAILED)
    assert ImageCount.objects.count() == before


def test_first_build_new_base_removal_and_deletion_are_counted(base: BaseImage) -> None:
    image = factories.make_image("one", base=base)
    other = factories.make_base_image(python_version="3.13")
    second = factories.make_image("two", base=other, status=Status.BUILDING_FIRST_TIME)
    assert_counts_are_true()
    build = Build.objects.get(image=second)
    ManagedImage.objects.filter(pk=second.pk).update(status=Status.READY, current_build=build)
    assert_counts_are_true()
    ManagedImage.objects.filter(pk=image.pk).update(
        removed_at=timezone.now(), deletion_due_at=timezone.now() + timedelta(days=1)
    )
    assert_counts_are_true()
    ManagedImage.objects.filter(pk=image.pk).delete()
    assert_counts_are_true()


def test_rows_are_summed_up_and_say_the_same(base: BaseImage) -> None:
    for number in range(6):
        factories.make_image(f"image-{number}", base=base)
        ManagedImage.objects.update(status=Status.OUTDATED)
    ImageCount.objects.sum_up(above=1000)
    assert ImageCount.objects.count() > 6
    ImageCount.objects.sum_up(above=5)
    (row,) = ImageCount.objects.all()
    assert (row.base_image, row.status, row.number) == (base, Status.OUTDATED, 6)
    ManagedImage.objects.all().delete()
    ImageCount.objects.sum_up(above=0)
    assert not ImageCount.objects.exists()


def test_images_are_counted_where_no_schema_is_searched(base: BaseImage) -> None:
    """As `pg_restore` loads data."""
    factories.make_image("one", base=base)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = ''")
        cursor.execute("UPDATE public.images_managedimage SET status = %s", [Status.OUTDATED])
        cursor.execute("SET LOCAL search_path = public")
    assert_counts_are_true()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_counting_again_waits_for_who_changes_images(base: BaseImage) -> None:
    factories.make_image("before", base=base)
    ImageCount.objects.all().delete()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            factories.make_image("within", base=base)
            counting = pool.submit(count_again)
        counting.result()
    assert_counts_are_true()


def count_again() -> None:
    """In a thread, whose connection is its own."""
    try:
        ImageCount.objects.count_again()
    finally:
        connection.close()


def sum_up_all() -> None:
    """In a thread, whose connection is its own."""
    try:
        ImageCount.objects.sum_up(above=0)
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_others_count_meanwhile_is_neither_lost_nor_counted_twice(base: BaseImage) -> None:
    factories.make_image("before", base=base)
    with transaction.atomic():
        factories.make_image("within", base=base)
        # Two sweepers: neither waits for this transaction, and neither sees its rows.
        for _ in range(2):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(sum_up_all).result()
    assert_counts_are_true()
    assert Counter(ManagedImage.objects.values_list("status", flat=True)).total() == 2
