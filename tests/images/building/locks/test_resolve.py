"""Locking: against the real index where an answer of its own is at stake."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stamina

from images.building.cache import BoundedCache
from images.building.downloads import fetch, index_client
from images.building.locks import uv as module
from images.building.locks.files import LockedWheel
from images.building.locks.pylock import parse_lock
from images.building.locks.resolve import DEFAULT_TIMEOUT, resolve
from images.building.locks.target import Target
from images.building.locks.uv import strip_credentials
from images.errors import FetchFailed, NoWheel, ResolutionFailed, WheelInvalid
from images.models.lease import LeaseLost
from images.requirement_files.configured import parse_pip_requirements
from ri_platform.local.services import free_port
from tests.http_server import QuietHandler, address_of, serving

TARGET = Target("3.11")


def lock(text: str, **preinstalled: str) -> dict[str, str]:
    found = resolve(
        parse_pip_requirements(text),
        TARGET,
        preinstalled=preinstalled,
        log=lambda line: None,
        check=lambda: None,
    )
    return {wheel.name: wheel.version for wheel in found.wheels}


def resolve_at(
    index: str, *, check: Callable[[], None] = lambda: None, timeout: float = DEFAULT_TIMEOUT
) -> None:
    """Look for numpy at an index that does not have it."""
    resolve(
        parse_pip_requirements("numpy"),
        TARGET,
        preinstalled={},
        log=lambda line: None,
        check=check,
        environment={"UV_DEFAULT_INDEX": index},
        timeout=timeout,
    )


def test_what_a_killed_resolution_leaves_lies_where_the_next_worker_clears_up(
    tmp_path: Path, settings: Any
) -> None:
    """The indexes' credentials are among it."""
    settings.CACHE_DIR = tmp_path
    seen: set[str] = set()

    def check() -> None:
        seen.update(path.name for path in tmp_path.glob("work-resolve-*/*"))

    with pytest.raises(FetchFailed):
        resolve_at(f"http://127.0.0.1:{free_port()}/", check=check)
    assert "uv.toml" in seen
    assert not list(tmp_path.glob("work-resolve-*"))


@pytest.mark.network
def test_what_the_base_has_is_preferred_unless_a_requirement_forbids_it() -> None:
    assert lock("requests", idna="3.7")["idna"] == "3.7"
    assert lock("requests\nidna>3.7", idna="3.7")["idna"] != "3.7"


@pytest.mark.network
def test_a_package_that_does_not_exist_fails_with_the_resolvers_sentence() -> None:
    with pytest.raises(ResolutionFailed, match="was not found in the package registry") as caught:
        lock("ri-no-such-package-zz9")
    assert caught.value.hint == "Check the spelling of the library's name."


@pytest.mark.network
def test_a_conflict_is_told_in_full() -> None:
    with pytest.raises(ResolutionFailed, match=r"requests==2\.32\.0 depends on urllib3"):
        lock("requests==2.32.0\nurllib3>=2.9999")


@pytest.mark.network
def test_a_package_without_wheels_says_so() -> None:
    with pytest.raises(NoWheel, match="pyspark"):
        lock("pyspark==3.5.0")


@pytest.mark.network
def test_what_the_system_trusts_needs_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert lock("pyjokes==0.6.0") == {"pyjokes": "0.6.0"}
    # Where the index needs no authority of the system's own, the above cannot tell.
    assert module.environment_of_uv({})["UV_SYSTEM_CERTS"] == "true"


def test_an_index_that_is_away_is_the_operators_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setattr(module, "_PASSED_ON", (*module._PASSED_ON, "UV_HTTP_RETRIES"))
    with pytest.raises(FetchFailed) as caught:
        resolve_at(f"http://somebody:hunter2@127.0.0.1:{free_port()}/simple")
    assert "hunter2" not in str(caught.value)
    assert caught.value.must_act == "operator"


@pytest.mark.slow
def test_an_index_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_server() as address, pytest.raises(FetchFailed, match="within 1 seconds"):
        resolve_at(address, timeout=1)


@pytest.mark.slow
def test_a_lost_lease_ends_the_resolver() -> None:
    def lost() -> None:
        raise LeaseLost

    with silent_server() as address, pytest.raises(LeaseLost):
        resolve_at(address, check=lost)


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def test_credentials_leave_every_address() -> None:
    text = 'url = "https://user:pa%20ss@index.test/simple/x.whl#sha256=0" and http://t@h/x'
    assert strip_credentials(text) == (
        'url = "https://index.test/simple/x.whl#sha256=0" and http://h/x'
    )


LOCK = """
lock-version = "1.0"
[[packages]]
name = "Big_Lib"
version = "1.0"
wheels = [
  { url = "https://i.test/big_lib-1.0-py3-none-any.whl", hashes = { sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } },
  { url = "https://i.test/big_lib-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", size = 5, hashes = { sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" } },
  { url = "https://i.test/big_lib-1.0-cp311-cp311-manylinux_2_34_x86_64.whl", hashes = { sha256 = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" } },
  { url = "https://i.test/big_lib-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", hashes = { sha256 = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd" } },
  { url = "https://i.test/big_lib-1.0-cp311-cp311-macosx_11_0_arm64.whl", hashes = { sha256 = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee" } },
]
"""  # noqa: E501


def test_the_wheel_that_suits_the_target_best_is_chosen() -> None:
    (wheel,) = parse_lock(LOCK, TARGET).wheels
    assert (wheel.name, wheel.sha256, wheel.size) == ("big-lib", "b" * 64, 5)
    (other,) = parse_lock(LOCK, Target("3.10")).wheels
    assert other.sha256 == "a" * 64


def test_a_lock_without_a_fitting_wheel_names_the_library() -> None:
    text = LOCK.replace("py3-none-any", "cp39-cp39-win_amd64")
    with pytest.raises(NoWheel, match=r"big-lib 1\.0 has no wheel for Python 3\.13"):
        parse_lock(text, Target("3.13"))


class Files(QuietHandler):
    content = b"wheel"
    failures = 0

    def do_GET(self) -> None:
        if type(self).failures > 0:
            type(self).failures -= 1
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)


@pytest.fixture
def files() -> Iterator[str]:
    with serving(Files) as server:
        yield address_of(server)


def wheel_at(address: str, content: bytes, size: int | None) -> LockedWheel:
    import hashlib

    return LockedWheel(
        "x",
        "1",
        "x-1-py3-none-any.whl",
        f"{address}/x.whl",
        hashlib.sha256(content).hexdigest(),
        size,
    )


def fetched(wheel: LockedWheel, folder: Path) -> Path:
    """The wheel in a new work folder, by way of the cache in `folder`."""
    work = Path(tempfile.mkdtemp(dir=folder))
    cache = BoundedCache(folder / "cache", 10**6)
    with index_client() as client, stamina.set_testing(True, attempts=10, cap=True):
        return fetch(client, wheel, cache, work, lambda: None)


def test_a_wheel_is_fetched_once_and_kept_by_hash(files: str, tmp_path: Path) -> None:
    wheel = wheel_at(files, b"wheel", 5)
    Files.failures = 2
    assert fetched(wheel, tmp_path).read_bytes() == b"wheel"
    Files.failures = 99
    assert fetched(wheel, tmp_path).read_bytes() == b"wheel"
    Files.failures = 0


@pytest.mark.parametrize(("content", "size"), [(b"other", 5), (b"wheel", 4), (b"wheel", 6)])
def test_a_wheel_with_other_content_or_size_is_refused(
    content: bytes, size: int, files: str, tmp_path: Path
) -> None:
    with pytest.raises(WheelInvalid, match="size and sha256"):
        fetched(wheel_at(files, content, size), tmp_path)
    assert not (tmp_path / "cache").exists()


def test_an_index_that_stays_broken_fails_the_fetch(files: str, tmp_path: Path) -> None:
    Files.failures = 99
    with pytest.raises(FetchFailed, match="cannot be downloaded"):
        fetched(wheel_at(files, b"wheel", 5), tmp_path)
    Files.failures = 0
