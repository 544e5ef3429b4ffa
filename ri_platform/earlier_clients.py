"""A front of addresses for public clients before 2.0: `/0.20/v1/…` is `/v1/…`, with answers in their words.

Their first requests equal those of later clients to the byte, and no answer satisfies both generations. So
such a client is given the instance's address with `/0.20` behind it (docs/decisions/0020-public-clients.md).
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

FRONT = "/0.20"
# The last version of that generation.
VERSION = "0.20.27"


class EarlierClientsMiddleware:
    """Takes the front off an address, and remembers that it was there."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(f"{FRONT}/v1/"):
            request.path_info = request.path_info.removeprefix(FRONT)
            request.path = request.path.replace(FRONT, "", 1)
            request.is_of_an_earlier_client = True  # type: ignore[attr-defined]
        return self.get_response(request)


def compatible_version(request: HttpRequest) -> str:
    """The version of the public client that the instance answers this request as."""
    if getattr(request, "is_of_an_earlier_client", False):
        return VERSION
    return str(settings.COMPATIBILITY_VERSION)
