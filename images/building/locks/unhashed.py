"""Files of which an index tells no sha256, or another hash alone: fetched once, hashed here, and kept.

pip installs such files. A lock of ours holds the sha256 of what was fetched, so that every later build gets
the same. Source: the simple repository API (PEP 503, PEP 691), whose hashes are optional.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
from django.conf import settings
from packaging.tags import Tag

from images.building.cache import caches, work_folder
from images.building.downloads import index_client, kept_name
from images.building.locks.files import MAX_FILE_BYTES, LockedFile, LockedWheel, is_sha256
from images.building.locks.pylock import (
    best_wheel_table,
    filename_of,
    hashed_files,
    package_text,
    package_values,
)
from images.building.locks.target import Target
from images.errors import FetchFailed, WheelInvalid
from images.indexes import Indexes
from images.lock_packages import packages_of

PIECE = 1 << 20
# Stands for a hash that is not known yet, in a value that checks everything else.
UNKNOWN = "0" * 64
# What is compared where an index tells it (the algorithms that pip takes in a link, and their like).
KNOWN = frozenset({"md5", "sha1", "sha224", "sha384", "sha512"})


def with_hashes(
    lock: str,
    target: Target,
    indexes: Indexes,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> str:
    """The lock (PEP 751) with a sha256 of each file: of wheels without one, those for `target` are fetched.

    It is as it was where nothing lacks. Raises `FetchFailed`, and `WheelInvalid` for a file that has another
    hash than the index tells of it.
    """
    packages = packages_of(lock)
    tags = target.tags
    lacking = [package for package in packages if lacks_hash(best_wheel_table(package, tags))]
    if not lacking:
        return lock
    with index_client(indexes) as client:
        texts = [
            package_text(
                *package_values(package),
                [
                    *hashed_files(package),
                    *(
                        [fetch_wheel(package, tags, client, log, check)]
                        if package in lacking
                        else []
                    ),
                ],
            )
            for package in packages
        ]
    return "\n".join(['lock-version = "1.0"', 'created-by = "ri-platform"', *texts]) + "\n"


def lacks_hash(file: Mapping[str, Any] | None) -> bool:
    return file is not None and not is_sha256(file.get("hashes", {}).get("sha256"))


def fetch_wheel(
    package: Mapping[str, Any],
    tags: Mapping[Tag, int],
    client: httpx.Client,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> LockedFile:
    """The wheel for these tags, as a value of what the index gives now."""
    table = best_wheel_table(package, tags)
    assert table is not None
    wheel = LockedWheel(
        *package_values(package), filename_of(table), table["url"], UNKNOWN, table.get("size")
    )
    told = {name: str(value) for name, value in table.get("hashes", {}).items()}
    sha256, size = content_of(wheel.url, client, check, told, wheel.filename)
    only = f"the {' and '.join(sorted(told))} alone" if told else "no hash"
    log(f"{wheel.filename}: its index tells {only}. It was fetched, and its sha256 is {sha256}.")
    return replace(wheel, sha256=sha256, size=size)


def content_of(
    url: str,
    client: httpx.Client,
    check: Callable[[], None],
    told: Mapping[str, str] | None = None,
    filename: str = "",
) -> tuple[str, int]:
    """sha256 and size in bytes of what is at an address; it is kept for the build.

    `told` are hashes in hex by their names, of which known ones have to be right.
    """
    known = {name: value for name, value in (told or {}).items() if name in KNOWN}
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *known}}
    with work_folder(settings.CACHE_DIR, "unhashed") as folder:
        path = folder / "file"
        size = 0
        try:
            with (
                client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
                path.open("wb") as file,
            ):
                answer.raise_for_status()
                for piece in answer.iter_raw(PIECE):
                    check()
                    size += len(piece)
                    if size > MAX_FILE_BYTES:
                        break
                    file.write(piece)
                    for one in hashes.values():
                        one.update(piece)
        except httpx.HTTPError as error:
            raise FetchFailed(
                f"A file of the package index cannot be downloaded: {type(error).__name__}.",
                hint="The package index or the network failed; build again in a while.",
            ) from error
        for name, value in known.items():
            if hashes[name].hexdigest() != value.lower():
                raise WheelInvalid(
                    f"{filename} does not have the {name} that its index tells of it.",
                    hint="The index or something before it altered the file; an operator should look.",
                )
        sha256 = hashes["sha256"].hexdigest()
        caches().wheels.keep(kept_name(sha256), path)
        return sha256, size
