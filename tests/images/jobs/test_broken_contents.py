"""A blob that the registry holds with other content is pushed again, or it is said that it cannot be."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from images.building.cache import caches
from images.building.workshop import name_of
from images.errors import CannotBeMadeAgain
from images.jobs import sweep, verification
from images.jobs.quiet_journal import QuietJournal
from images.jobs.remaking import Bringing
from images.models import Drift, ManagedImage, Verification
from images.models.drift import keep_manifest
from images.models.lease import WorkState
from images.models.verification import HEALABLE
from images.registry.distribution.descriptors import OCI_LAYER_GZIP, Descriptor
from tests.images.verification import pushed
from tests.images.verification.workers import Workers
from tests.local_aws import local_aws
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

REPOSITORY = f"{pushed.PREFIX}/rotten"
BLOBS = pushed.contents("rotten")
CONFIG, LAYER, SECOND = BLOBS


class Registry:
    """A local AWS whose blobs can be altered behind its back."""

    def __init__(self, state: Path, settings: Any, patch: pytest.MonkeyPatch) -> None:
        self._state, self._settings, self._patch = state, settings, patch
        self._running = ExitStack()
        self.start()

    def start(self) -> None:
        self.aws = self._running.enter_context(local_aws(self._state))
        self._settings.AWS_ENDPOINT_URL = self._settings.REGISTRY_URL = self.aws.url
        self._settings.REGISTRY_HOST = self.aws.url.partition("://")[2]
        self.workers = Workers(self.aws, self._patch)

    def stop(self) -> None:
        self._running.close()

    def spoil(self, raw: bytes) -> None:
        """Have other bytes under the digest of a blob, wherever it is held."""
        self.stop()
        good, bad = (b64encode(data).decode() for data in (raw, raw[::-1]))
        for file in self._state.glob("*.json*"):
            file.write_text(file.read_text().replace(good, bad))
        self.start()
        with self.aws.client() as client:
            assert client.has_blob(REPOSITORY, LAYER)

    def look(self, *, deep: bool) -> list[str]:
        verification.begin(deep=deep)
        self.workers.work()
        found = Verification.objects.latest("pk").findings
        codes = [item["code"] for item in found if item["subject"] == "rotten"]
        return [code for code in codes if code in HEALABLE]


@pytest.fixture
def registry(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    settings.CACHE_DIR = tmp_path / "cache"
    found = Registry(tmp_path / "aws", settings, monkeypatch)
    yield found
    found.stop()


@pytest.fixture
def image(registry: Registry, tmp_path: Path) -> ManagedImage:
    base = pushed.push_base(registry.aws, tmp_path)
    image = pushed.push_ready(registry.aws, "rotten", base, tmp_path)
    assert image.current_build is not None
    keep_manifest(image.current_build, pushed.manifest_of(BLOBS), BLOBS[CONFIG])
    return image


@pytest.fixture
def keep_here(tmp_path: Path) -> Callable[[], None]:
    def keep() -> None:
        for digest in (LAYER, SECOND):
            file = tmp_path / f"kept-{digest[-8:]}"
            file.write_bytes(BLOBS[digest])
            caches().layers.keep(name_of(digest), file)

    return keep


def told() -> list[str]:
    found = AuditEvent.objects.filter(object_name="rotten", event__contains="heal")
    return list(found.values_list("event", flat=True))


@pytest.mark.parametrize("digest", [CONFIG, LAYER])
def test_a_blob_with_other_content_is_pushed_again(
    image: ManagedImage, registry: Registry, keep_here: Callable[[], None], digest: str
) -> None:
    keep_here()
    registry.spoil(BLOBS[digest])
    assert registry.look(deep=True) == ["content_differs"]
    drift = Drift.objects.get()
    assert drift.state == WorkState.SUCCEEDED, drift.error_message
    assert told() == ["image.healed"]
    assert registry.look(deep=True) == []


def test_it_is_not_told_as_healed_while_the_content_differs(
    image: ManagedImage, registry: Registry
) -> None:
    registry.spoil(BLOBS[LAYER])
    assert registry.look(deep=True) == ["content_differs"]
    drift = Drift.objects.get()
    assert drift.state != WorkState.SUCCEEDED
    assert drift.error_message
    assert "image.healed" not in told()


def test_a_look_that_reads_no_blob_does_not_end_it(
    image: ManagedImage, registry: Registry, settings: Any, keep_here: Callable[[], None]
) -> None:
    settings.HEAL_DRIFT = False
    registry.spoil(BLOBS[LAYER])
    registry.look(deep=True)
    assert registry.look(deep=False) == []
    assert Drift.objects.get().state == WorkState.QUEUED
    # What it finds besides does not make it forget either.
    registry.aws.root.batch_delete_image(
        repositoryName=REPOSITORY, imageIds=[{"imageTag": "build-1"}]
    )
    registry.look(deep=False)
    assert "content_differs" in Drift.objects.get().codes
    keep_here()
    settings.HEAL_DRIFT = True
    Drift.objects.update(due_at=timezone.now())
    sweep.sweep()
    registry.workers.work()
    assert Drift.objects.get().state == WorkState.SUCCEEDED
    assert registry.look(deep=True) == []


def test_a_deep_look_ends_what_somebody_else_put_right(
    image: ManagedImage, registry: Registry, settings: Any, tmp_path: Path
) -> None:
    settings.HEAL_DRIFT = False
    registry.spoil(BLOBS[LAYER])
    registry.look(deep=True)
    pushed.push(registry.aws, "rotten", tmp_path, tags=["build-1"])
    assert registry.look(deep=True) == []
    assert Drift.objects.get().state == WorkState.SUCCEEDED


def test_a_registry_that_keeps_the_other_content_is_told_of(
    image: ManagedImage, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.spoil(BLOBS[LAYER])
    blob = Descriptor(OCI_LAYER_GZIP, LAYER, len(BLOBS[LAYER]))
    file = tmp_path / "layer"
    file.write_bytes(BLOBS[LAYER])
    with registry.aws.client() as client:
        # It takes the blob, and keeps what it has.
        monkeypatch.setattr(client, "upload_blob", lambda *_, **__: None)
        bringing = Bringing(client, REPOSITORY, tmp_path, lambda: None, QuietJournal(), reads=True)
        assert bringing.missing([blob]) == [blob]
        assert bringing.bring(blob, (), file)
        with pytest.raises(CannotBeMadeAgain, match="keeps"):
            bringing.confirm([blob])
