"""What build code can have the worker do by asking its index proxy over and over."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from images.building.containers import index_proxy
from images.building.containers.index_proxy import IndexDoor, IndexedFile
from images.indexes import Indexes
from tests.http_server import QuietHandler, serving


def ask(address: tuple[str, int], path: str) -> str:
    with socket.create_connection(address, 10) as one:
        one.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return one.makefile("rb").readline().decode().strip()


def test_connections_beyond_the_limit_are_closed_and_take_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_proxy, "MAX_CONNECTIONS", 5)
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    before = threading.active_count()
    with IndexDoor(Indexes("http://127.0.0.1:9")).serve_requests(listener):
        held = [socket.create_connection(address, 10) for _ in range(5)]
        # The server has taken these before it closes the next: they were there before.
        with socket.create_connection(address, 10) as refused:
            assert refused.recv(1) == b""
        assert threading.active_count() <= before + 6
        for one in held:
            one.close()


def test_pages_end_when_more_files_are_named_than_any_build_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Index(QuietHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

    monkeypatch.setattr(index_proxy, "MAX_FILES", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    address: Any = listener.getsockname()
    with serving(Index) as server:
        door = IndexDoor(Indexes(f"http://127.0.0.1:{server.server_port}/simple"))
        with door.serve_requests(listener):
            assert " 404 " in ask(address, "/0/one/")
            door.files["x"] = IndexedFile("a", "1", "a-1.tar.gz", "https://x.test/a", "", None)
            assert " 429 " in ask(address, "/0/two/")
    assert asked == ["/simple/one/"]
