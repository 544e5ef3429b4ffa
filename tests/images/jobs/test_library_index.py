"""The index of a distribution's libraries is read when first needed, again weekly, and by one worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images import wake
from images.jobs import library_index, sweep
from images.models import BaseImage, LibraryIndex
from images.models.lease import WAKE_INTERVAL, WorkState
from tests import factories
from tests.needs import needs

Sent = list[tuple[wake.Task, int]]


@pytest.fixture
def bookworm(db: None) -> BaseImage:
    return factories.make_base_image(os_id="debian", os_version="bookworm")


def test_index_is_asked_for_once(
    bookworm: BaseImage, sent: Sent, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        library_index.ask_for(bookworm)
        library_index.ask_for(bookworm)
    assert sent == [(wake.Task.READ_LIBRARY_INDEX, LibraryIndex.objects.get().pk)]


def test_no_index_is_asked_for_of_a_distribution_that_has_none_here(db: None) -> None:
    library_index.ask_for(factories.make_base_image(os_id="alpine", os_version="3.20"))
    assert not LibraryIndex.objects.exists()


def test_index_of_a_distribution_with_dnf_is_asked_for(db: None, sent: Sent) -> None:
    library_index.ask_for(
        factories.make_base_image(os_family="rhel", os_id="amzn", os_version="2023")
    )
    assert LibraryIndex.objects.get().distribution == "amzn"


def test_index_that_needs_a_base_image_fails_where_none_is_left(db: None) -> None:
    found = LibraryIndex.objects.create(distribution="rocky", version="9.3")
    library_index.run(found.pk)
    found.refresh_from_db()
    assert found.error_message == "No base image of rocky 9.3 is left."


def index(version: str = "bookworm", **values: Any) -> LibraryIndex:
    return LibraryIndex.objects.create(distribution="debian", version=version, **values)


@pytest.mark.slow
def test_lost_message_is_sent_again(bookworm: BaseImage, sent: Sent) -> None:
    waiting = index(due_at=timezone.now() - WAKE_INTERVAL)
    sweep.sweep()
    sweep.sweep()
    assert sent == [(wake.Task.READ_LIBRARY_INDEX, waiting.pk)]


@pytest.mark.slow
def test_index_is_read_again_after_a_week(bookworm: BaseImage, sent: Sent) -> None:
    long_ago = timezone.now() - timedelta(days=8)
    old = index(state=WorkState.SUCCEEDED, finished_at=long_ago, due_at=long_ago)
    sweep.sweep()
    assert sent == [(wake.Task.READ_LIBRARY_INDEX, old.pk)]
    LibraryIndex.objects.update(state=WorkState.SUCCEEDED, finished_at=timezone.now())
    sweep.sweep()
    assert len(sent) == 1


@pytest.mark.slow
def test_index_of_a_distribution_without_a_base_image_is_forgotten(
    bookworm: BaseImage, sent: Sent
) -> None:
    long_ago = timezone.now() - timedelta(days=8)
    index("bullseye", state=WorkState.SUCCEEDED, finished_at=long_ago)
    sweep.sweep()
    assert not LibraryIndex.objects.exists()


@needs("debian base")
@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_debians_own_index_is_read(settings: Any, tmp_path: Any) -> None:
    settings.CACHE_DIR = tmp_path
    found = index()
    library_index.run(found.pk)
    found.refresh_from_db()
    assert found.state == WorkState.SUCCEEDED, found.error_message
    names = dict(
        found.packages.filter(soname__in=["libGL.so.1", "libgomp.so.1"]).values_list(
            "soname", "package"
        )
    )
    assert names == {"libGL.so.1": "libgl1", "libgomp.so.1": "libgomp1"}
    count = found.packages.count()
    assert count > 5_000
    # Read once more, it is the same and not twice.
    LibraryIndex.objects.update(state=WorkState.QUEUED)
    library_index.run(found.pk)
    assert found.packages.count() == count
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_suite_that_is_not_there_is_an_error_and_tried_again(settings: Any, tmp_path: Any) -> None:
    settings.CACHE_DIR = tmp_path
    found = index("nosuchsuite")
    library_index.run(found.pk)
    found.refresh_from_db()
    assert found.state == WorkState.FAILED
    assert "nosuchsuite" in found.error_message
    LibraryIndex.objects.update(finished_at=timezone.now() - timedelta(hours=2))
    factories.make_base_image(os_id="debian", os_version="nosuchsuite")
    library_index.read_again()
    assert LibraryIndex.objects.get().state == WorkState.QUEUED
