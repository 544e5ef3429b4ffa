"""A proxy that makes a service fail: it refuses, resets, hangs, answers errors, or cuts answers off."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from tests.http_server import QuietHandler
from tests.local_aws import LocalAWS

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


class Fault(StrEnum):
    """What happens to a request."""

    NONE = "none"
    TOO_MANY = "429"
    BROKEN = "500"
    UNAVAILABLE = "503"
    RESET = "reset"
    HANG = "hang"
    TRUNCATE = "truncate"
    # The service does it, and whoever asked never hears of it.
    LOST_ANSWER = "lost answer"


class FaultProxy:
    """An HTTP proxy in front of one service on this machine.

    `decide` is asked for each request, by its method and path; without one, all pass.
    """

    def __init__(self, upstream: int, chance: random.Random) -> None:
        self.upstream, self.chance = upstream, chance
        self.decide: Callable[[str, str], Fault] = lambda method, path: Fault.NONE
        self.delay: Callable[[str, str], float] = lambda method, path: 0.0
        self.counted: dict[Fault, int] = dict.fromkeys(Fault, 0)
        self.released = threading.Event()
        # Set once a request hangs: whoever waits for it knows that what asked is held there.
        self.holds = threading.Event()
        proxy = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy.handle(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # `close` of a hanging request must not be waited for.
        self.server.block_on_close = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[Self]:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self.recover()
            self.server.shutdown()

    @contextmanager
    def failing(self, *faults: Fault, share: float = 1.0, only: str = "") -> Iterator[None]:
        """Have this share of the requests fail in one of these ways; `only` those with this in the path."""

        def decide(method: str, path: str) -> Fault:
            hit = only in path and self.chance.random() < share
            return self.chance.choice(faults) if hit else Fault.NONE

        self.decide = decide
        self.released.clear()
        self.holds.clear()
        try:
            yield
        finally:
            self.recover()

    def slow_down(self, pattern: str, seconds: float, *, once: bool = False) -> None:
        """Have a request wait before it is passed on if `METHOD /path` as a whole matches the pattern; with
        `once` the first one alone.
        """
        matches, number = re.compile(pattern).fullmatch, itertools.count()

        def delay(method: str, path: str) -> float:
            slow = matches(f"{method} {path}") and not (once and next(number))
            return seconds if slow else 0.0

        self.delay = delay

    def recover(self) -> None:
        """Let everything pass, at once, and end what hangs."""
        self.decide = lambda method, path: Fault.NONE
        self.delay = lambda method, path: 0.0
        self.released.set()

    def handle(self, request: QuietHandler) -> None:
        body = read_body(request)
        fault = self.decide(request.command, request.path)
        self.counted[fault] += 1
        time.sleep(self.delay(request.command, request.path))
        match fault:
            case Fault.TOO_MANY | Fault.BROKEN | Fault.UNAVAILABLE:
                answer(request, int(fault.value), [], b"{}")
            case Fault.RESET:
                reset(request)
            case Fault.HANG:
                self.holds.set()
                self.released.wait(600)
                reset(request)
            case _:
                self.forward(request, body, fault)

    def forward(self, request: QuietHandler, body: bytes, fault: Fault) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=120)
        try:
            headers = {
                name: value
                for name, value in request.headers.items()
                if name.lower() not in HOP_BY_HOP | {"content-length"}
            }
            link.request(request.command, request.path, body or None, headers)
            got = link.getresponse()
            data = got.read()
            length = got.getheader("Content-Length")
        except (OSError, http.client.HTTPException):
            reset(request)
            return
        finally:
            link.close()
        if fault is Fault.LOST_ANSWER:
            reset(request)
            return
        kept = [
            item
            for item in got.getheaders()
            if item[0].lower() not in HOP_BY_HOP | {"content-length"}
        ]
        told = int(length) if request.command == "HEAD" and length else len(data)
        answer(request, got.status, kept, data, told, cut=fault is Fault.TRUNCATE)


@contextmanager
def held_uploads(aws: LocalAWS, image: str) -> Iterator[FaultProxy]:
    """A way to the registry on which no blob of this image arrives before `recover`, so no build of it ends.

    `holds` is set once an upload waits. The phase of a build is nothing to wait for: several run at a time.
    """
    port = urlsplit(aws.url).port
    assert port
    with (
        FaultProxy(port, random.Random(0)).serving() as proxy,
        proxy.failing(Fault.HANG, only=f"/{image}/blobs/uploads/"),
    ):
        yield proxy


def read_body(request: QuietHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
        parts = []
        while size := int(request.rfile.readline().split(b";")[0], 16):
            parts.append(request.rfile.read(size))
            request.rfile.readline()
        request.rfile.readline()
        return b"".join(parts)
    return request.rfile.read(int(request.headers.get("Content-Length") or 0))


def answer(
    request: QuietHandler,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    length: int | None = None,
    *,
    cut: bool = False,
) -> None:
    with contextlib.suppress(OSError):
        request.send_response_only(status)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            request.wfile.flush()
            reset(request)


def reset(request: QuietHandler) -> None:
    """End the connection with a reset instead of an orderly end (SO_LINGER of 0 s)."""
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()


class Gate:
    """A way to a TCP service that can be shut: what is connected is cut, and nobody is let in.

    `silence` keeps all connections and holds back what the service answers.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._pairs: list[socket.socket] = []
        self._open = True
        self._answers = threading.Event()
        self._answers.set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        with self._lock:
            self._open = False
            for link in self._pairs:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
                link.close()
            self._pairs.clear()

    def open(self) -> None:
        self._open = True
        self._answers.set()

    def silence(self) -> None:
        self._answers.clear()

    def close(self) -> None:
        self.shut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._open:
                    here.close()
                    continue
                try:
                    there = socket.create_connection(("127.0.0.1", self._upstream), 5)
                except OSError:
                    here.close()
                    continue
                there.settimeout(None)
                self._pairs += [here, there]
            always = threading.Event()
            always.set()
            for source, sink, passes in ((here, there, always), (there, here, self._answers)):
                threading.Thread(target=pump, args=(source, sink, passes), daemon=True).start()


def pump(source: socket.socket, sink: socket.socket, passes: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            passes.wait()
            sink.sendall(data)
    for link in (source, sink):
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
