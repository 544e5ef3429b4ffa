"""What a job moves in its own thread ends when the job must, however slowly it goes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.building.cache import caches
from images.building.containers import container
from images.building.containers.wheel_builds import WheelBuilds
from images.building.locks.files import LockedWheel
from images.building.push import referrers
from images.building.workshop import name_of
from images.indexes import Indexes
from images.jobs.os_layer import OSLayer, OSLayers
from images.jobs.quiet_journal import QuietJournal
from images.jobs.remaking import Bringing
from images.models import BaseImage, CachedLayer
from images.models.lease import HandOver
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    digest_of,
)
from tests.http_server import QuietHandler, address_of, serving

# More than a connection takes without anybody who reads it.
LARGE = 32 << 20
REPOSITORY = "rime-managed-images/slow"
BLOB = Descriptor(OCI_LAYER_GZIP, digest_of(b"slow"), LARGE)
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(OCI_CONFIG, digest_of(b"slow"), LARGE).to_json(),
        "layers": [BLOB.to_json()],
    }
).encode()


class Slow:
    """A registry and an index: all is quick but blobs and files, of which a piece moves now and then."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()
        # Whether it moved everything, as nobody broke off.
        self.moved_all = False
        slow = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.answer(404)

            def do_POST(self) -> None:
                self.answer(202, Location="/v2/upload")

            def do_PUT(self) -> None:
                self.answer(201)

            def do_PATCH(self) -> None:
                slow.begun.set()
                left = int(self.headers["Content-Length"])
                slow.move(lambda: len(self.connection.recv(min(left, 1 << 18))))
                self.close_connection = True

            def do_GET(self) -> None:
                if "/manifests/" in self.path:
                    self.answer(200, MANIFEST)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(LARGE))
                self.end_headers()
                slow.begun.set()
                slow.move(lambda: self.wfile.write(bytes(1 << 10)))
                self.close_connection = True

        self.handler = Handler

    def move(self, piece: Callable[[], int]) -> None:
        """Move pieces until the other side has left, or for a few seconds."""
        for _ in range(100):
            try:
                if self.over.wait(0.05) or not piece():
                    return
            except OSError:
                return
        self.moved_all = True

    def check(self) -> None:
        """Have the work handed over as soon as it is in the middle of the transfer."""
        if self.begun.is_set():
            raise HandOver


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def address(slow: Slow) -> Iterator[str]:
    with serving(slow.handler) as server:
        yield address_of(server)
        slow.over.set()


@pytest.fixture
def client(address: str) -> Iterator[RegistryClient]:
    with RegistryClient(address, guard=str, timeout=10) as client:
        yield client


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


def test_a_layer_of_os_packages_on_its_way_into_the_registry(
    base: BaseImage, client: RegistryClient, slow: Slow, large: Path, tmp_path: Path
) -> None:
    digest = digest_of(b"in the cache")
    caches().layers.keep(name_of(digest), large)
    layers = OSLayers(base, 0, REPOSITORY, "x", tmp_path, QuietJournal(), slow.check)
    known = CachedLayer(digest=digest, size_bytes=LARGE)
    with pytest.raises(HandOver):
        layers.bring(client, OSLayer("key", "OS packages", ()), known)
    assert not slow.moved_all


def test_a_base_image_on_its_way_to_this_machine(
    client: RegistryClient, slow: Slow, tmp_path: Path
) -> None:
    with pytest.raises(HandOver):
        container.base_layout(
            client, REPOSITORY, digest_of(MANIFEST), tmp_path / "layout", slow.check
        )
    assert not slow.moved_all


def test_a_blob_that_is_pushed_again(
    client: RegistryClient, slow: Slow, large: Path, tmp_path: Path
) -> None:
    bringing = Bringing(client, REPOSITORY, tmp_path, slow.check, QuietJournal())
    with pytest.raises(HandOver):
        bringing.bring(BLOB, (), large)
    assert not slow.moved_all


def test_an_attestation(client: RegistryClient, slow: Slow, tmp_path: Path) -> None:
    subject = Descriptor(OCI_MANIFEST, digest_of(MANIFEST), len(MANIFEST))
    with pytest.raises(HandOver):
        referrers.push(
            client,
            REPOSITORY,
            "build-1",
            subject,
            {"sbom": ("application/json", bytes(LARGE))},
            tmp_path,
            check=slow.check,
        )
    assert not slow.moved_all


def test_what_a_source_is_built_with(address: str, slow: Slow, tmp_path: Path) -> None:
    wheel = LockedWheel("x", "1", "x-1-py3-none-any.whl", f"{address}/x.whl", "0" * 64, LARGE)
    builds = WheelBuilds(
        box=lambda: pytest.fail("nothing is run"),
        interpreter="python3",
        python_version="3.11",
        of={},
        locking=lambda wanted: (),
        indexes=Indexes(),
        work=tmp_path,
        check=slow.check,
    )
    with pytest.raises(HandOver):
        builds.files_of([wheel])
    assert not slow.moved_all
