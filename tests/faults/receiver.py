"""A receiver of webhooks: it keeps the messages that arrive, and can refuse them, or hold who brings them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from standardwebhooks.webhooks import Webhook as Signer

from tests.http_server import QuietHandler, address_of, serving

HOLD_SECONDS = 60.0


class Receiver:
    """Messages by their ids. Whatever is not signed with the secret is refused."""

    def __init__(self) -> None:
        self.address, self.secret = "", ""
        self.messages: dict[str, dict[str, Any]] = {}
        # Set once a message is held.
        self.holds = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._refuses = False

    @contextmanager
    def serving(self) -> Iterator[None]:
        receiver = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.take(body.decode(), dict(self.headers)))
                self.end_headers()

        with serving(Handler) as server:
            self.address = address_of(server)
            yield
            self.recover()

    def take(self, body: str, headers: dict[str, str]) -> int:
        """The status of the answer to a message."""
        if self._refuses:
            return 503
        if not self._open.is_set():
            self.holds.set()
            self._open.wait(HOLD_SECONDS)
            return 503
        Signer(self.secret).verify(body, headers)
        self.messages[headers["webhook-id"]] = json.loads(body)
        return 204

    def refuse(self) -> None:
        """Answer each message with 503 until `recover`."""
        self._refuses = True

    def hold(self) -> None:
        """Answer nothing until `recover`."""
        self.holds.clear()
        self._open.clear()
        self._refuses = False

    def recover(self) -> None:
        self._refuses = False
        self._open.set()

    def has(self, event: str, name: str, **data: Any) -> bool:
        """Whether a message of this event came, with these data."""
        wanted = {"name": name, **data}
        return any(
            message["type"] == event and wanted.items() <= message["data"].items()
            for message in list(self.messages.values())
        )
