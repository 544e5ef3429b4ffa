"""A way to the registry of a limited bandwidth, which all connections share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx


class PacedTransport(httpx.HTTPTransport):
    """Sends the bodies of requests at so many megabytes a second in all."""

    def __init__(self, megabytes: float) -> None:
        super().__init__()
        self._seconds_a_byte = 1 / (megabytes * 1e6)
        self._lock = threading.Lock()
        self._free_at = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(request.stream, httpx.SyncByteStream):
            request.stream = PacedBody(request.stream, self)
        return super().handle_request(request)

    def wait_for(self, size: int) -> None:
        with self._lock:
            begin = max(self._free_at, time.monotonic())
            self._free_at = begin + size * self._seconds_a_byte
        time.sleep(max(0.0, self._free_at - time.monotonic()))


class PacedBody(httpx.SyncByteStream):
    """A request's body, each piece of which waits for its turn."""

    def __init__(self, body: httpx.SyncByteStream, transport: PacedTransport) -> None:
        self._body, self._transport = body, transport

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._transport.wait_for(len(piece))
            yield piece
