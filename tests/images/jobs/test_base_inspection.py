"""Base images of earlier versions are looked into once more, so that builds know what they stand on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from images import wake
from images.building.native.report import NativeReport
from images.errors import RegistryUnavailable
from images.jobs import base_inspection, sweep
from images.models import BaseImage
from tests import factories
from tests.local_aws import LocalAWS

Sent = list[tuple[wake.Task, int]]


@pytest.fixture
def old(db: None) -> BaseImage:
    """A row as earlier versions left it."""
    long_ago = timezone.now() - timedelta(days=100)
    return factories.make_base_image(native=b"", libc="", libc_version="", due_at=long_ago)


@pytest.mark.slow
def test_only_what_new_builds_stand_on_is_looked_into_and_not_at_every_sweep(
    old: BaseImage, sent: Sent
) -> None:
    long_ago = old.due_at
    factories.make_base_image(native=b"", is_current=False, due_at=long_ago)
    factories.make_base_image(python_version="3.13", due_at=long_ago)
    sweep.sweep()
    sweep.sweep()
    assert sent == [(wake.Task.INSPECT_BASE_IMAGE, old.pk)]


def test_what_cannot_be_looked_into_stays_as_it_is_and_is_tried_again(
    old: BaseImage, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(base: BaseImage) -> None:
        raise RegistryUnavailable("The registry does not answer.")

    monkeypatch.setattr(base_inspection, "facts_of", fail)
    base_inspection.inspect_again(old.pk)
    old.refresh_from_db()
    assert (bytes(old.native), old.libc) == (b"", "")
    base_inspection.wake_due()
    BaseImage.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    base_inspection.wake_due()
    assert len(sent) == 2


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_an_old_row_learns_its_libc_and_what_it_provides(
    debian: BaseImage, registry: LocalAWS
) -> None:
    before = {"native": b"", "libc": "", "libc_version": "", "machine": "", "os_packages": []}
    BaseImage.objects.filter(pk=debian.pk).update(**before)
    with registry.identity("build-jobs"):
        base_inspection.inspect_again(debian.pk)
    found = BaseImage.objects.get(pk=debian.pk)
    assert found.platform == "x86_64-manylinux_2_36"
    report = NativeReport.unpack(bytes(found.native))
    assert report
    assert "libgomp.so.1" in report.provided
    assert "libc6" in dict(found.os_packages)
    assert (found.libraries, found.manifest_digest) == (debian.libraries, debian.manifest_digest)
    # There is nothing more to look for, and the registry is not asked.
    base_inspection.inspect_again(debian.pk)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stops_leaves_it_to_another_at_once(
    debian: BaseImage, registry: LocalAWS, told_to_stop: None, sent: Sent
) -> None:
    later = timezone.now() + timedelta(hours=1)
    BaseImage.objects.filter(pk=debian.pk).update(native=b"", due_at=later)
    with registry.identity("build-jobs"):
        base_inspection.inspect_again(debian.pk)
    assert bytes(BaseImage.objects.get(pk=debian.pk).native) == b""
    base_inspection.wake_due()
    assert sent == [(wake.Task.INSPECT_BASE_IMAGE, debian.pk)]
