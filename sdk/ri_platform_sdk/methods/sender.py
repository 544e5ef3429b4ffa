"""The base of the client's methods, which sends their calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ri_platform_sdk.calls import Call
from ri_platform_sdk.models import Page
from ri_platform_sdk.transport import Transport

T = TypeVar("T")
POLL_SECONDS = 0.5


class Sender:
    """Sends calls. Made with the instance's address and an API access token."""

    _transport: Transport

    def send(self, call: Call[T]) -> T:
        """Send one of `ri_platform_sdk.calls`, and return what it reads in the answer."""
        return self._transport.send(call)

    def _pages(self, call_of: Callable[[str], Call[Page[T]]]) -> Iterator[T]:
        """All items of a list; `call_of` makes the call for a page from its token."""
        token = ""
        while True:
            page = self.send(call_of(token))
            yield from page.items
            if page.next_token == token:
                return
            token = page.next_token
