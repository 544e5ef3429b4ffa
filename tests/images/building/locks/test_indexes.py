"""Private indexes: who we are there stays between us and them; lists keep packages out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from images.building.cache import BoundedCache
from images.building.downloads import fetch, index_client
from images.building.locks.files import Lock
from images.building.locks.indexes import IndexAuth, refuse_forbidden
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.errors import FetchFailed, PackageNotAllowed, ResolutionFailed
from images.indexes import Index, Indexes
from images.requirement_files.configured import parse_pip_requirements
from tests.images.building.locked import a_wheel
from tests.images.building.private_index import SECRET, private_index
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.slow

PYTHON = Target("3.11")


@pytest.fixture
def private(tmp_path: Path) -> Iterator[str]:
    """An index with one package, which asks for a name and a password; its host and port."""
    with private_index(make_wheel(tmp_path, "private_lib")) as address:
        yield address


def locked(indexes: Indexes, said: list[str]) -> Lock:
    return resolve(
        parse_pip_requirements("private-lib"),
        PYTHON,
        preinstalled={},
        log=said.append,
        check=lambda: None,
        indexes=indexes,
        environment={"UV_NO_CACHE": "1"},
    )


@pytest.mark.parametrize("extra", [False, True])
def test_a_private_package_is_resolved_and_fetched_and_nothing_tells_the_password(
    extra: bool, private: str, tmp_path: Path
) -> None:
    url = f"http://team:{SECRET}@{private}/simple"
    indexes = Indexes(extra=(Index("internal", url),)) if extra else Indexes(default=url)
    said: list[str] = []
    lock = locked(indexes, said)
    (wheel,) = lock.wheels
    for text in (lock.text, *said, wheel.url, repr(lock)):
        assert "s3cr" not in text
    with index_client(indexes) as client:
        cache = BoundedCache(tmp_path / "cache", 10**6)
        path = fetch(client, wheel, cache, tmp_path / "work", lambda: None)
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

    auth = IndexAuth(["https://team:secret@index.test/simple"])
    transport = httpx.MockTransport(answer)
    with httpx.Client(auth=auth, transport=transport, follow_redirects=True) as client:
        client.get("https://index.test/a.whl")
    assert ["Authorization" in request.headers for request in seen] == [True, False]


def lock_with(*names: str) -> Lock:
    return Lock("", tuple(a_wheel(name) for name in names))


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
