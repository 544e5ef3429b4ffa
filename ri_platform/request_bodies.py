"""ASGI middleware that reads a whole request body before a thread of the web process handles the request.

The console and the API run in a few threads, each of which serves one request at a time. A client that sends
its body slowly, or never, would block one of them, and eight such clients would block all (an attack known as
Slowloris or R-U-Dead-Yet). The event loop holds any number of open connections, so it collects the bodies,
within three limits: bytes of one body, seconds for one body, bytes of all unfinished ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# The scope's key of the reason why a body was refused. WSGI applications find the scope as `asgi.scope` in
# their environ (a2wsgi), and `ri_platform.middleware` answers in the format that the client reads.
REFUSAL = "ri_platform.body_refusal"
# How long a request that is being served may take when the process has been told to end.
SHUTDOWN_SECONDS = 10.0
TOO_LARGE, TOO_SLOW, TOO_MANY = "too large", "too slow", "too many"


class BodyRefused(Exception):
    """A body is refused; the argument is one of the three reasons above."""


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class BufferedBodies:
    """Calls `app` with the whole body, or with none and the reason in the scope.

    `body_bytes` is the limit of one body and `body_seconds` the time that it may take; `total_bytes` is what
    all bodies that are being received or served may hold together.
    """

    def __init__(
        self, app: Application, *, body_bytes: int, body_seconds: float, total_bytes: int
    ) -> None:
        self._app = app
        self._served: set[asyncio.Task[None]] = set()
        self._body_bytes = body_bytes
        self._body_seconds = body_seconds
        self._free_bytes = total_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, self._receive_when_idle(receive), send)
        elif scope["type"] == "http":
            await self._take(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces: list[bytes] = []
        headers = drop_ambiguous_names(scope["headers"])
        try:
            try:
                async with asyncio.timeout(self._body_seconds):
                    await self._collect(scope, receive, pieces)
            except ClientGone:
                return
            except (BodyRefused, TimeoutError) as error:
                body = b""
                scope = {
                    **scope,
                    "headers": drop_body_headers(headers),
                    REFUSAL: str(error) or TOO_SLOW,
                }
            else:
                body = b"".join(pieces)
                scope = {**scope, "headers": set_content_length(headers, body)}
            await self._serve(scope, body, send)
        finally:
            self._free_bytes += sum(map(len, pieces))

    async def _serve(self, scope: Scope, body: bytes, send: Send) -> None:
        task = asyncio.ensure_future(self._app(scope, replay(body), send))
        self._served.add(task)
        task.add_done_callback(self._served.discard)
        await task

    def _receive_when_idle(self, receive: Receive) -> Receive:
        """The lifespan's `receive`, which tells of the shutdown when requests in threads are answered.

        The server stops its loop after the shutdown, and threads could not send their answers then.
        """

        async def receive_when_idle() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self._served:
                await asyncio.wait(self._served, timeout=SHUTDOWN_SECONDS)
            return message

        return receive_when_idle

    async def _collect(self, scope: Scope, receive: Receive, pieces: list[bytes]) -> None:
        """Append the body's pieces, each of them counted. Raises `BodyRefused` and `ClientGone`."""
        if announced_bytes(scope) > self._body_bytes:
            raise BodyRefused(TOO_LARGE)
        received = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            if len(piece) > self._free_bytes:
                raise BodyRefused(TOO_MANY)
            received += len(piece)
            if received > self._body_bytes:
                raise BodyRefused(TOO_LARGE)
            self._free_bytes -= len(piece)
            pieces.append(piece)
            if not message.get("more_body", False):
                return


def announced_bytes(scope: Scope) -> int:
    """The request's Content-Length, 0 without one. The server has checked that it is a number."""
    return max(
        (int(value) for name, value in scope["headers"] if name == b"content-length"), default=0
    )


def drop_ambiguous_names(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers without those whose names hold an underscore.

    WSGI (PEP 3333) writes `X-Forwarded-For` and `X_Forwarded_For` alike, so a client could add to what a
    proxy said.
    """
    return [(name, value) for name, value in headers if b"_" not in name]


def drop_body_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [item for item in headers if item[0] not in (b"content-length", b"transfer-encoding")]


def set_content_length(
    headers: list[tuple[bytes, bytes]], body: bytes
) -> list[tuple[bytes, bytes]]:
    """The headers with the body's real length, which a chunked body comes without (RFC 9112, 7.1)."""
    if not body:
        return headers
    return [*drop_body_headers(headers), (b"content-length", str(len(body)).encode())]


def replay(body: bytes) -> Receive:
    """An ASGI `receive` that returns a buffered body."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive
