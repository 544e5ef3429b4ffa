"""A small HTTP server in the test's own process, for as long as a `with` block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """A test tells what went wrong by itself."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(handler: Callable[..., Any]) -> Iterator[ThreadingHTTPServer]:
    """The server, on a free port of this machine; its address is `address_of(server)`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # It looks this often whether it is to end, and half a second of each test would be spent on that.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def address_of(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"
