"""The package indexes of this installation: where they are, who we are there, and what they may give us.

Credentials stand in the configured addresses. They go to uv by its environment and to downloads by an
authorization that only their own host gets; locks and logs never hold them.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpx
from django.conf import settings
from packaging.utils import canonicalize_name

from images.building.locks.files import Lock
from images.errors import PackageNotAllowed


@dataclass(frozen=True)
class Indexes:
    """`default` may be empty: then it is the resolver's own. `extra` come before it, in their order."""

    default: str = ""
    extra: tuple[str, ...] = ()
    ca_file: str = ""

    @classmethod
    def configured(cls) -> Indexes:
        return cls(
            settings.PACKAGE_INDEX_URL,
            tuple(settings.PACKAGE_EXTRA_INDEX_URLS),
            settings.PACKAGE_CA_FILE,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment that uv reads. With several indexes it takes a package from the first that has it:
        nobody can slip in a newer version of a private package by way of a public index.
        """
        values = {
            "UV_DEFAULT_INDEX": self.default,
            "UV_INDEX": " ".join(self.extra),
            "SSL_CERT_FILE": self.ca_file,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def auth(self) -> httpx.Auth:
        return IndexAuth(url for url in (self.default, *self.extra) if url)


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
            raise forbidden(file.name)


def is_forbidden(name: str) -> bool:
    """True if the lists keep out a library; what is not on an allow-list is kept out, too."""
    if settings.PACKAGE_ALLOW and not matches(name, settings.PACKAGE_ALLOW):
        return True
    return matches(name, settings.PACKAGE_DENY)


def matches(name: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch.fnmatchcase(canonicalize_name(name), pattern.lower().replace("_", "-"))
        for pattern in patterns
    )


def forbidden(name: str) -> PackageNotAllowed:
    return PackageNotAllowed(
        f"{name} is not allowed on this instance. It is one of your requirements, or is brought along "
        "by one.",
        hint="Leave it out, or ask your administrator about RI_PACKAGE_ALLOW and RI_PACKAGE_DENY.",
    )
