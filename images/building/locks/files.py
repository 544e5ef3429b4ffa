"""Files of a lock, as values that cannot be had unchecked.

Names, hashes, sizes and addresses of libraries' files come from outside: out of a sandbox, off an index
page, out of a lock that the database kept, or out of a wheel. Everything of the engine that makes a path, a
download or a command of them takes these values, and these values check themselves when they are made
(docs/decisions/0010-what-is-trusted.md).

Sources: names, PyPA's name normalization (PEP 503); versions, PEP 440; wheel names, PEP 427 (binary
distribution format); names of source distributions, PEP 625, and what indexes hold of before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from images.errors import LockInvalid

MAX_NAME, MAX_VERSION = 200, 100
# What file systems take as one component (NAME_MAX), in bytes; the names are ASCII.
MAX_FILENAME = 255
MAX_URL = 2_048
# No index gives larger files: PyPI's own limit is far below.
MAX_FILE_BYTES = 4 << 30
SDIST_ENDINGS = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tbz", ".tar.xz", ".txz")

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# PEP 427 and PEP 440 need no more; epochs (`1!2.0`) and local versions (`2.1.0+cpu`) are among it.
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# RFC 3986: what an address may hold, percent-encoding included; no blanks, quotes or control characters.
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")


@dataclass(frozen=True)
class LockedFile:
    """One file of a library: `sha256` in hex, `size` in bytes where it is known.

    Making one raises `LockInvalid`, unless `name` is normalized, `version` is a version, `filename` is one
    path component and that of a file of this very name and version, `sha256` is one, `size` is possible,
    and `url` is an http(s) address without credentials.
    """

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size: int | None = None

    def __post_init__(self) -> None:
        require(is_name(self.name), "a library", self.name)
        require(is_version(self.version), f"a version of {self.name}", self.version)
        require(is_filename(self.filename), f"a file's name of {self.name}", self.filename)
        require(self.names_itself(), f"a file of {self.name} {self.version}", self.filename)
        require(is_sha256(self.sha256), f"the sha256 of {self.filename}", self.sha256)
        require(is_size(self.size), f"the size of {self.filename}", self.size)
        require(self.has_address(), f"the address of {self.filename}", self.url)

    def names_itself(self) -> bool:
        """Whether the file's name is one of this kind of file, of this name and version."""
        raise NotImplementedError

    def has_address(self) -> bool:
        return is_url(self.url)


@dataclass(frozen=True)
class LockedSource(LockedFile):
    """A source distribution (PEP 517), of which a wheel has to be built."""

    def names_itself(self) -> bool:
        return Version(self.version) in versions_of_sdist(self.filename, self.name)


@dataclass(frozen=True)
class LockedWheel(LockedFile):
    """A wheel of an index, or one that this instance built: that one has no address, and says what it is
    built of."""

    built_of: LockedSource | None = None

    def names_itself(self) -> bool:
        try:
            name, version, *_ = parse_wheel_filename(self.filename)
        except (InvalidWheelFilename, InvalidVersion):
            return False
        return name == self.name and version == Version(self.version)

    def has_address(self) -> bool:
        if self.built_of is None:
            return is_url(self.url)
        return self.url == "" and self.built_of.name == self.name


@dataclass(frozen=True)
class Lock:
    """`text` is the pylock.toml, without credentials; `wheels` are those for the target, by name.

    `sources` are the libraries that have no wheel for it. `order` are all by name, as pip would install them.
    """

    text: str
    wheels: tuple[LockedWheel, ...]
    sources: tuple[LockedSource, ...] = ()
    order: tuple[str, ...] = ()


def require(holds: bool, what: str, value: object) -> None:
    if not holds:
        raise LockInvalid(
            f"{str(value)[:100]!a} cannot be {what}.",
            hint="The package index, or code of a library, gave something that no installer may believe; "
            "an operator should look at where that library comes from.",
        )


def is_name(value: object) -> bool:
    """A normalized name (PEP 503)."""
    return isinstance(value, str) and len(value) <= MAX_NAME and bool(_NAME.fullmatch(value))


def is_version(value: object) -> bool:
    if not isinstance(value, str) or len(value) > MAX_VERSION or not value.isascii():
        return False
    try:
        Version(value)
    except InvalidVersion:
        return False
    return value.isprintable() and " " not in value


def is_filename(value: object) -> bool:
    """One path component in ASCII: no separator, no `..`, nothing hidden, no control character."""
    return (
        isinstance(value, str) and len(value) <= MAX_FILENAME and bool(_FILENAME.fullmatch(value))
    )


def is_sha256(value: object) -> bool:
    return isinstance(value, str) and bool(_SHA256.fullmatch(value))


def is_size(value: object) -> bool:
    """Bytes of a file, or None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value is None
    return 0 < value <= MAX_FILE_BYTES


def is_url(value: object) -> bool:
    """An http(s) address with a host and without credentials."""
    if not isinstance(value, str) or len(value) > MAX_URL or not _URL.fullmatch(value):
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    return "@" not in parts.netloc and port != 0 and bool(_HOST.fullmatch(parts.hostname or ""))


def is_sdist(filename: str) -> bool:
    return filename.endswith(SDIST_ENDINGS)


def versions_of_sdist(filename: str, name: str) -> Iterator[Version]:
    """The versions that the file can be of, if it is a source distribution of the library `name`.

    PEP 625's names have one dash alone; those of before it may have some in the name (`zope-interface-5.0`,
    with any of `-_.`), and some in the version (`2.0-1`, `2.0-rc1`).
    """
    ending = next((ending for ending in SDIST_ENDINGS if filename.endswith(ending)), None)
    if ending is None:
        return
    stem = filename.removesuffix(ending)
    for dash in (place for place, letter in enumerate(stem) if letter == "-"):
        if canonicalize_name(stem[:dash]) == name and is_version(stem[dash + 1 :]):
            yield Version(stem[dash + 1 :])
