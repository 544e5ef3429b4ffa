"""Private indexes: who we are there stays between us and them; lists keep packages out."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from images.building.cache import BoundedCache
from images.building.indexes import Indexes, refuse_forbidden
from images.building.resolve import Lock, LockedWheel, Target, resolve
from images.building.wheels import fetch, index_client
from images.errors import FetchFailed, PackageNotAllowed, ResolutionFailed
from images.requirements import parse_pip_requirements
from tests.images.building.wheelmaker import make_wheel

PYTHON = Target("3.11")
SECRET = "s3cr%2Ft"  # As it stands in an address; the password is s3cr/t.


@pytest.fixture
def private(tmp_path: Path) -> Iterator[str]:
    """An index with one package, which asks for a name and a password; its host and port."""
    wheel = make_wheel(tmp_path, "private_lib")
    expected = "Basic " + base64.b64encode(b"team:s3cr/t").decode()

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.end_headers()
                return
            if self.path == "/simple/private-lib/":
                body = f'<a href="/files/{wheel.name}">{wheel.name}</a>'.encode()
            elif self.path == f"/files/{wheel.name}":
                body = wheel.read_bytes()
            else:
                self.send_response(404)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def locked(indexes: Indexes, said: list[str]) -> Lock:
    return resolve(
        parse_pip_requirements("private-lib"),
        PYTHON,
        preinstalled={},
        log=said.append,
        check=lambda: None,
        environment={**indexes.environment, "UV_NO_CACHE": "1"},
    )


@pytest.mark.parametrize("extra", [False, True])
def test_a_private_package_is_resolved_and_fetched_and_nothing_tells_the_password(
    extra: bool, private: str, tmp_path: Path
) -> None:
    url = f"http://team:{SECRET}@{private}/simple"
    indexes = Indexes(extra=(url,)) if extra else Indexes(default=url)
    said: list[str] = []
    lock = locked(indexes, said)
    (wheel,) = lock.wheels
    for text in (lock.text, *said, wheel.url, repr(lock)):
        assert "s3cr" not in text
    with index_client(indexes.auth) as client:
        cache = BoundedCache(tmp_path / "cache", 10**6)
        path = fetch(client, wheel, cache, tmp_path / "work", threading.Event(), lambda s: None)
    assert path.name == "private_lib-1.0-py3-none-any.whl"


def test_a_wrong_password_fails_without_telling_it(private: str) -> None:
    with pytest.raises((ResolutionFailed, FetchFailed)) as caught:
        locked(Indexes(default=f"http://team:wr0ng@{private}/simple"), [])
    assert "wr0ng" not in str(caught.value)


def test_another_host_gets_no_authorization() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "index.test":
            return httpx.Response(302, headers={"Location": "https://files.test/a.whl"})
        return httpx.Response(200)

    auth = Indexes(default="https://team:secret@index.test/simple").auth
    transport = httpx.MockTransport(answer)
    with httpx.Client(auth=auth, transport=transport, follow_redirects=True) as client:
        client.get("https://index.test/a.whl")
    assert ["Authorization" in request.headers for request in seen] == [True, False]


def lock_with(*names: str) -> Lock:
    return Lock("", tuple(LockedWheel(name, "1", f"{name}-1.whl", "", name) for name in names))


@pytest.mark.parametrize(
    ("allow", "deny", "refused"),
    [
        ([], [], None),
        ([], ["urllib3"], "urllib3"),
        ([], ["URL*"], "urllib3"),
        (["numpy", "pandas"], [], "urllib3"),
        (["*"], ["numpy"], "numpy"),
        (["numpy", "urllib*"], [], None),
    ],
)
def test_lists_keep_packages_out_dependencies_too(
    allow: list[str], deny: list[str], refused: str | None, settings: Any
) -> None:
    settings.PACKAGE_ALLOW, settings.PACKAGE_DENY = allow, deny
    lock = lock_with("numpy", "urllib3")
    if refused is None:
        refuse_forbidden(lock)
    else:
        with pytest.raises(PackageNotAllowed, match=refused):
            refuse_forbidden(lock)
