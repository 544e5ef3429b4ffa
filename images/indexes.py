"""The package indexes of this installation: where they are, who we are there, and what comes from which.

Credentials stand in the configured addresses. They go to uv by its environment and to downloads by an
authorization that only their own host gets; locks and logs never hold them. A library comes from the first
index that has it, as uv has it, so no index can slip in a newer version of what one before it has.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit, urlunsplit

from django.conf import settings
from packaging.utils import canonicalize_name

from images.errors import IndexUnknown
from images.lock_packages import packages_of
from images.requirements import PipRequirement

# The name of the index that libraries come from where nothing else is said.
DEFAULT_INDEX = "default"
# The key of this platform's own table in a lock (PEP 751).
LOCK_TOOL = "ri-platform"
PYPI = "https://pypi.org/simple"
# Seconds that a cache may keep what never changes (RFC 9111): a year, as RFC 2616 had it for "never expires".
FOREVER = 31_536_000
_NAMED = re.compile(r"(?:([a-z0-9]+(?:-[a-z0-9]+)*)=)?(https?://\S+)")
_MACHINES_NAME = re.compile(r"^[\w.-]+=(?=https?://)")
_PLACED = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)=(\S+)")


@dataclass(frozen=True)
class Index:
    """One index. Its `url` may hold credentials.

    An explicit one gives only what is asked of it by name. What matches `packages`, shell-style patterns,
    comes from this index and from no other.
    """

    name: str
    url: str
    explicit: bool = False
    packages: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address without credentials."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def credentials(self) -> tuple[str, str] | None:
        parts = urlsplit(self.url)
        if not parts.username:
            return None
        return unquote(parts.username), unquote(parts.password or "")

    @property
    def environment(self) -> dict[str, str]:
        """What tells uv who we are there."""
        if self.credentials is None:
            return {}
        prefix = f"UV_INDEX_{self.name.upper().replace('-', '_')}"
        user, password = self.credentials
        return {f"{prefix}_USERNAME": user, f"{prefix}_PASSWORD": password}


@dataclass(frozen=True)
class Indexes:
    """`default` may be empty: then it is the one that the machine names to uv, else PyPI. `extra` come before
    it, in their order.
    """

    default: str = ""
    extra: tuple[Index, ...] = ()
    ca_file: str = ""
    # Patterns of what comes from the default one alone.
    default_packages: tuple[str, ...] = field(default=())

    @classmethod
    def from_settings(cls) -> Indexes:
        """By the settings, which a check has looked at. Raises `ValueError` with a sentence."""
        placed = packages_by_index(settings.PACKAGE_INDEX_PACKAGES)
        explicit = set(settings.PACKAGE_EXPLICIT_INDEXES)
        extra = tuple(
            replace(index, explicit=index.name in explicit, packages=placed.get(index.name, ()))
            for index in named_indexes(settings.PACKAGE_EXTRA_INDEX_URLS)
        )
        known = {index.name for index in extra}
        for variable, names in (
            ("RI_PACKAGE_EXPLICIT_INDEXES", explicit),
            ("RI_PACKAGE_INDEX_PACKAGES", {*placed} - {DEFAULT_INDEX}),
        ):
            if unknown := sorted(names - known):
                raise ValueError(
                    f"{variable} names {', '.join(unknown)}, which RI_PACKAGE_EXTRA_INDEX_URLS does not."
                )
        return cls(
            settings.PACKAGE_INDEX_URL,
            extra,
            settings.PACKAGE_CA_FILE,
            placed.get(DEFAULT_INDEX, ()),
        )

    def choose(self, names: Sequence[str]) -> Indexes:
        """The indexes for an image that chose these by name: they give any library, in the operator's order.

        Raises `IndexUnknown`.
        """
        for name in names:
            if name not in self.addresses:
                raise IndexUnknown(
                    f"There is no index {name[:100]} here.",
                    hint=f"Choose among {', '.join(self.addresses)}, or ask the operator for it.",
                )
        return replace(
            self,
            extra=tuple(
                replace(index, explicit=index.explicit and index.name not in names)
                for index in self.extra
            ),
        )

    @property
    def every(self) -> tuple[Index, ...]:
        """In the order in which a library is looked for, the default one last."""
        default = self.default or default_of_machine() or PYPI
        return (*self.extra, Index(DEFAULT_INDEX, default, packages=self.default_packages))

    @property
    def addresses(self) -> dict[str, str]:
        """The default one first, as people list them: name to address without credentials."""
        *extra, default = self.every
        return {index.name: index.address for index in (default, *extra)}

    @property
    def environment(self) -> dict[str, str]:
        """What uv reads beside `configuration`: the credentials, which its files do not hold."""
        values = {"SSL_CERT_FILE": self.ca_file}
        for index in self.every:
            values |= index.environment
        return {name: value for name, value in values.items() if value}

    def configuration(self, pages_seconds: int) -> str:
        """The uv.toml. With several indexes uv takes a package from the first that has it at all, so
        nobody can slip in a newer version of a private package by way of a public index.

        A page that uv read up to `pages_seconds` ago is not asked for again.
        """
        *extra, default = self.every
        tables = [uv_table(index, pages_seconds=pages_seconds) for index in extra]
        return "\n".join(
            [*tables, uv_table(default, pages_seconds=pages_seconds) + "default = true\n"]
        )

    @property
    def identity(self) -> list[list[object]]:
        """All that tells these indexes, and us at them, from others; it holds the credentials."""
        told = [[i.name, i.url, i.explicit, list(i.packages)] for i in self.every]
        return [*told, [self.ca_file]]

    @property
    def places(self) -> list[list[object]]:
        """All that tells these indexes from others, without who we are there."""
        return [[i.name, i.address, i.explicit, list(i.packages)] for i in self.every]

    def home_of(self, library: str) -> str:
        """The index that the operator's rules say a library comes from; `""` if they leave it open."""
        return next((index.name for index in self.every if matches(library, index.packages)), "")

    def place(self, requirement: PipRequirement) -> PipRequirement:
        """The requirement with the index that it has to come from. Raises `IndexUnknown`."""
        home = self.home_of(requirement.name)
        named = requirement.index
        if named and named not in self.addresses:
            raise IndexUnknown(
                f"{requirement.name} is to come from the index {named}, which is not configured.",
                hint=f"Choose one of {', '.join(self.addresses)}, or ask the operator for it.",
            )
        if home and named and home != named:
            raise IndexUnknown(
                f"{requirement.name} comes from the index {home} alone on this instance, not from {named}.",
                hint="Leave the index out.",
            )
        return replace(requirement, index=named or home)

    def name_at(self, address: str) -> str:
        """The name of the index at an address; the default one's if none has it."""
        wanted = address.rstrip("/")
        return next(
            (index.name for index in self.every if index.address.rstrip("/") == wanted),
            DEFAULT_INDEX,
        )


def default_of_machine() -> str:
    """The index that this process's environment names for uv, which may give it a name; empty if none."""
    named = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or ""
    return _MACHINES_NAME.sub("", named)


def uv_table(index: Index, table: str = "index", *, pages_seconds: int = 0) -> str:
    """A table of uv's configuration. Names and addresses are checked ones; JSON's strings are TOML's.

    Files of an index never change under their address and hash (PEP 503), whatever its headers say, so uv
    asks for none of them again.
    """
    pages = f"max-age={pages_seconds}" if pages_seconds else "no-cache"
    lines = [
        f"[[{table}]]",
        f'name = "{index.name}"',
        f"url = {json.dumps(index.address)}",
        f'cache-control = {{ api = "{pages}", files = "max-age={FOREVER}, immutable" }}',
    ]
    return "\n".join([*lines, *(["explicit = true"] if index.explicit else []), ""])


def named_indexes(words: Sequence[str]) -> list[Index]:
    """Indexes of `name=address` or an address alone. Raises `ValueError` with a sentence."""
    found: dict[str, Index] = {}
    for number, word in enumerate(words, start=1):
        parts = _NAMED.fullmatch(word)
        if parts is None:
            raise ValueError(
                f"Entry {number} of RI_PACKAGE_EXTRA_INDEX_URLS is not an address, or a name of lower-case "
                "letters, digits and - before =https://…."
            )
        name = parts[1] or f"extra-{number}"
        if name == DEFAULT_INDEX or name in found:
            raise ValueError(
                f"RI_PACKAGE_EXTRA_INDEX_URLS gives the name {name} to a second index."
            )
        found[name] = Index(name, parts[2].rstrip("/"))
    return list(found.values())


def packages_by_index(words: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Patterns by index, of `name=pattern`. Raises `ValueError` with a sentence."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        parts = _PLACED.fullmatch(word)
        if parts is None:
            raise ValueError(
                f"RI_PACKAGE_INDEX_PACKAGES has {word!r}, which is not index=library, like internal=acme-*."
            )
        found[parts[1]] = (*found.get(parts[1], ()), parts[2])
    return found


def matches(name: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch.fnmatchcase(canonicalize_name(name), pattern.lower().replace("_", "-"))
        for pattern in patterns
    )


def is_forbidden(name: str) -> bool:
    """True if the lists keep out a library; what is not on an allow-list is kept out, too."""
    if settings.PACKAGE_ALLOW and not matches(name, settings.PACKAGE_ALLOW):
        return True
    return matches(name, settings.PACKAGE_DENY)


def indexes_of(lock: str) -> dict[str, str]:
    """Library → the name of the index that it came from, as far as a lock tells."""
    found: dict[str, str] = {}
    for package in packages_of(lock):
        name = package.get("tool", {}).get(LOCK_TOOL, {}).get("index", "")
        if name:
            found[canonicalize_name(package["name"])] = name
    return found
