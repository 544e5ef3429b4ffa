"""Registries and wheels that misbehave: each ends as a FAILED build with a sentence, nothing half-made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from images.models import BaseImage, ManagedImage, Status
from images.registry import connection
from images.registry.distribution.client import RegistryClient
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.http_server import QuietHandler, address_of, serving
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

Fault = Callable[[httpx.Request], httpx.Response | None]


class Faulty(httpx.BaseTransport):
    """The real registry, but for what `fault` answers in its place."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._fault(request) or self._real.handle_request(request)


def with_fault(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    original = RegistryClient.__init__

    def init(self: RegistryClient, *arguments: Any, **options: Any) -> None:
        options |= {"transport": Faulty(fault), "sleep": lambda seconds: None}
        original(self, *arguments, **options)

    monkeypatch.setattr(RegistryClient, "__init__", init)


def failed(image: ManagedImage, code: str) -> str:
    build = image.builds.get()
    assert (image.status, image.current_build) == (Status.FAILED, None)
    assert build.error_code == code, build.error_message
    assert build.error_message.endswith((".", "Error", "error"))
    assert "Traceback" not in build.error_message
    return build.error_message


def test_a_registry_that_answers_500(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_fault(monkeypatch, lambda request: httpx.Response(500))
    image = build_now(registry, ask(cast, "fault-500", "pyjokes==0.6.0"))
    build = image.builds.get()
    assert (image.status, build.error_code) == (Status.FAILED, "registry_unavailable")
    assert "answered 500" in build.error_message


def test_a_connection_that_is_cut_in_the_middle_of_uploads(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PATCH":
            raise httpx.WriteError("Connection reset by peer")
        return None

    with_fault(monkeypatch, cut)
    image = build_now(registry, ask(cast, "fault-cut", "pyjokes==0.6.0"))
    build = image.builds.get()
    assert (image.status, build.error_code) == (Status.FAILED, "registry_unavailable")
    assert "Connection reset by peer" in build.error_message
    with registry.identity("registry-server"):
        assert connection.control().list_images("rime-managed-images/fault-cut") == []


def test_a_connection_that_is_cut_once_is_taken_up_again(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts: list[httpx.Request] = []

    def cut_once(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PATCH" and not cuts:
            cuts.append(request)
            raise httpx.WriteError("Connection reset by peer")
        return None

    with_fault(monkeypatch, cut_once)
    assert build_now(registry, ask(cast, "fault-once", "six==1.17.0")).status == Status.READY
    assert cuts


def test_a_registry_that_stores_something_else(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET" and request.url.path.endswith("/manifests/build-1"):
            return httpx.Response(200, json={"schemaVersion": 2})
        return None

    with_fault(monkeypatch, other)
    image = build_now(registry, ask(cast, "fault-other", "pyjokes==0.6.0"))
    assert (image.status, image.builds.get().error_code) == (Status.FAILED, "digest_mismatch")


# --- wheels ---------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder of wheels and its address."""

    class Quiet(QuietHandler, SimpleHTTPRequestHandler):
        pass

    folder = tmp_path / "shelf"
    folder.mkdir()
    with serving(partial(Quiet, directory=str(folder))) as server:
        yield folder, address_of(server)


def build_wheel(
    cast: Cast, registry: LocalAWS, name: str, wheel: Path, address: str, sha256: str = ""
) -> ManagedImage:
    """Build an image of one wheel, as if the index had given it."""
    image = ask(cast, name, "placeholder")
    promised = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    image.builds.update(
        lock=f'lock-version = "1.0"\n[[packages]]\nname = "sample"\nversion = "1.0"\n'
        f'wheels = [{{ url = "{address}/{wheel.name}", hashes = {{ sha256 = "{promised}" }} }}]\n'
    )
    return build_now(registry, image)


def test_a_wheel_with_another_hash(
    cast: Cast, debian: BaseImage, registry: LocalAWS, shelf: tuple[Path, str]
) -> None:
    folder, address = shelf
    image = build_wheel(cast, registry, "bad-hash", make_wheel(folder), address, "0" * 64)
    assert "size and sha256 that the index promised" in failed(image, "wheel_invalid")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("traversal", {"files": {"../../etc/cron.d/x": b"* * * * * root x"}}, "points outside"),
        ("bomb", {"files": {"zeros.bin": b"\0" * (80 << 20)}}, "unpacks to far more"),
    ],
)
def test_a_wheel_that_means_harm(
    name: str,
    options: dict[str, Any],
    words: str,
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    shelf: tuple[Path, str],
) -> None:
    folder, address = shelf
    image = build_wheel(cast, registry, f"harm-{name}", make_wheel(folder, **options), address)
    build = image.builds.get()
    assert (image.status, build.error_code) == (Status.FAILED, "wheel_invalid")
    assert words in build.error_message
    assert build.error_hint


def test_a_big_wheel_is_streamed_and_honest(
    cast: Cast, debian: BaseImage, registry: LocalAWS, shelf: tuple[Path, str]
) -> None:
    folder, address = shelf
    wheel = make_wheel(folder, files={"sample/data.bin": bytes(range(256)) * 40_000})
    image = build_wheel(cast, registry, "big-wheel", wheel, address)
    assert image.status == Status.READY
