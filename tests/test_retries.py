"""What is tried again, how often, and that it ends soon when told: against servers that really fail."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import stamina

from images.building.cache import BoundedCache
from images.building.downloads import Stopped, check_of, fetch, index_client
from images.building.locks.files import LockedWheel
from images.errors import FetchFailed, RegistryNotFound, RegistryUnavailable
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import Descriptor, digest_of
from ri_platform.retries import LONGEST_WAIT
from tests.http_server import QuietHandler, address_of, serving

CONTENT = b"x" * 100
# A status, and how much of the body is sent before the connection ends.
GOOD, CUT, BUSY, BROKEN, MISSING = (200, 100), (200, 10), (429, 100), (503, 100), (404, 100)


class Failing(QuietHandler):
    """Answers in turn; the last answer is repeated."""

    answers: ClassVar[list[tuple[int, int]]]
    asked: ClassVar[threading.Semaphore]
    count: ClassVar[int]

    def do_GET(self) -> None:
        # Before the answer, after which the client may look at it.
        Failing.count += 1
        status, length = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:length])
        self.asked.release()


class Dripping(QuietHandler):
    """Sends one byte of its answer, and the rest only if whoever asked still waits for it."""

    dripped: ClassVar[threading.Event]
    left: ClassVar[threading.Event]
    sent_all: ClassVar[threading.Event]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        # Before the byte, after which the client may look at it.
        self.dripped.set()
        self.wfile.write(CONTENT[:1])
        # Within the time that a call may be without its next byte.
        if not self.left.wait(15):
            self.sent_all.set()
            self.wfile.write(CONTENT[1:])


@contextmanager
def server_of(*answers: tuple[int, int]) -> Iterator[str]:
    Failing.answers, Failing.asked, Failing.count = list(answers), threading.Semaphore(0), 0
    with serving(Failing) as server:
        yield address_of(server)


@pytest.fixture
def at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


def fetched(address: str, folder: Path, stop: threading.Event) -> bytes:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    wheel = LockedWheel("x", "1", "x-1-py3-none-any.whl", f"{address}/x.whl", sha256, len(CONTENT))
    cache = BoundedCache(folder / "cache", 10**6)
    with index_client() as client:
        return fetch(client, wheel, cache, folder, check_of(stop)).read_bytes()


def copied(address: str, folder: Path, stop: threading.Event, attempts: int = 1) -> bytes:
    descriptor = Descriptor("application/octet-stream", digest_of(CONTENT), len(CONTENT))
    with RegistryClient(address, read_only=True, attempts=attempts) as client:
        client.download_blob("a/b", descriptor, folder / "blob", check=check_of(stop))
    return (folder / "blob").read_bytes()


@pytest.mark.parametrize("transfer", [fetched, copied])
def test_what_breaks_off_or_is_refused_for_now_is_tried_again(
    transfer: Callable[..., bytes], at_once: None, tmp_path: Path
) -> None:
    with server_of(CUT, BROKEN, GOOD) as address:
        assert transfer(address, tmp_path, threading.Event()) == CONTENT
    assert Failing.count == 3


@pytest.mark.parametrize("answer", [BUSY, BROKEN, CUT])
def test_attempts_come_to_an_end(answer: tuple[int, int], at_once: None, tmp_path: Path) -> None:
    with server_of(answer) as address, pytest.raises(FetchFailed):
        fetched(address, tmp_path, threading.Event())
    assert Failing.count == 4
    with server_of(answer) as address, pytest.raises(RegistryUnavailable):
        copied(address, tmp_path, threading.Event())
    assert Failing.count == 3


def test_what_does_not_heal_is_not_tried_again(at_once: None, tmp_path: Path) -> None:
    with server_of(MISSING) as address, pytest.raises(FetchFailed):
        fetched(address, tmp_path, threading.Event())
    assert Failing.count == 1
    with server_of(MISSING) as address, pytest.raises(RegistryNotFound):
        copied(address, tmp_path, threading.Event())
    assert Failing.count == 1


@pytest.mark.parametrize("transfer", [fetched, copied])
def test_a_wait_ends_soon_once_it_is_to_stop(
    transfer: Callable[..., bytes], tmp_path: Path
) -> None:
    """And nothing is asked for any more."""
    stop = threading.Event()

    def stop_after_the_first() -> None:
        assert Failing.asked.acquire(timeout=30)
        stop.set()

    with server_of(BROKEN) as address:
        teller = threading.Thread(target=stop_after_the_first)
        teller.start()
        begun = time.monotonic()
        with pytest.raises(Stopped):
            transfer(address, tmp_path, stop)
        teller.join()
    assert Failing.count == 1
    # A wait, and what a busy machine needs beside it.
    assert time.monotonic() - begun < LONGEST_WAIT + 10


@pytest.mark.parametrize("transfer", [fetched, copied])
def test_a_transfer_that_trickles_ends_once_it_is_to_stop(
    transfer: Callable[..., bytes], tmp_path: Path
) -> None:
    """At the next byte, without the piece that it belongs to being awaited."""
    Dripping.dripped, Dripping.left = threading.Event(), threading.Event()
    Dripping.sent_all = threading.Event()
    with serving(Dripping) as server:
        with pytest.raises(Stopped):
            transfer(address_of(server), tmp_path, Dripping.dripped)
        assert not Dripping.sent_all.is_set()
        Dripping.left.set()
