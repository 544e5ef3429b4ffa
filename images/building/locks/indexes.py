"""The lists of what package indexes may give us, and the authorization for downloads from them."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from urllib.parse import unquote, urlsplit

import httpx

from images.building.locks.files import Lock
from images.errors import PackageNotAllowed
from images.indexes import is_forbidden


class IndexAuth(httpx.Auth):
    """Basic authorization for the hosts whose index addresses have credentials, and for no other."""

    def __init__(self, urls: Iterable[str]) -> None:
        self._by_origin: dict[tuple[str, str, int | None], httpx.BasicAuth] = {}
        for url in urls:
            parts = urlsplit(url)
            if parts.username:
                clean = httpx.URL(url)
                credentials = unquote(parts.username), unquote(parts.password or "")
                self._by_origin[clean.scheme, clean.host, clean.port] = httpx.BasicAuth(
                    *credentials
                )

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        found = self._by_origin.get((request.url.scheme, request.url.host, request.url.port))
        if found is None:
            yield request
        else:
            yield from found.auth_flow(request)


def refuse_forbidden(lock: Lock) -> None:
    """Raise `PackageNotAllowed` if the lock holds what this installation's lists keep out.

    Looked at after resolution, so what requirements bring along counts too. Patterns are shell-style.
    """
    for file in (*lock.wheels, *lock.sources):
        if is_forbidden(file.name):
            raise forbidden_library_error(file.name)


def forbidden_library_error(name: str) -> PackageNotAllowed:
    return PackageNotAllowed(
        f"{name} is not allowed on this instance. It is one of your requirements, or is brought along "
        "by one.",
        hint="Leave it out, or ask your administrator about RI_PACKAGE_ALLOW and RI_PACKAGE_DENY.",
    )
