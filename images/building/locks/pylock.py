"""pylock.toml (PEP 751) as the engine reads and writes it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion

from images.building.locks.files import (
    Lock,
    LockedFile,
    LockedSource,
    LockedWheel,
    is_name,
    is_version,
    require,
)
from images.building.locks.target import Target
from images.errors import LockInvalid, NoWheel, ResolutionFailed


def parse_lock(text: str, target: Target, *, allow_source: bool = False) -> Lock:
    """Choose from a pylock.toml the wheel of each library that suits `target` best.

    With `allow_source`, a library without one is taken as its source distribution. Nothing in the text is
    believed: what is chosen checks itself (`images.building.locks.files`). Raises `NoWheel` naming a
    library that has neither, `ResolutionFailed` for what is no lock, `LockInvalid` for a lock that names
    what cannot be a library's file.
    """
    try:
        packages = tomllib.loads(text).get("packages", [])
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ResolutionFailed(f"The lock is not a pylock.toml: {error}.") from error
    tags = target.tags
    chosen: dict[str, LockedWheel | LockedSource] = {}
    for package in packages if isinstance(packages, list) else ():
        file = chosen_file(package, tags, allow_source=allow_source)
        if file is None:
            raise NoWheel(
                f"{canonicalize_name(package['name'])} {package['version']} has no wheel for "
                f"Python {target.python_version} on {target.platform}.",
                hint="Choose another version of it, or another Python version.",
            )
        if file.name in chosen:
            raise LockInvalid(
                f"The lock names {file.name} twice.", hint="Build the image anew, without its lock."
            )
        chosen[file.name] = file
    files = [chosen[name] for name in sorted(chosen)]
    return Lock(
        text,
        tuple(file for file in files if isinstance(file, LockedWheel)),
        tuple(file for file in files if isinstance(file, LockedSource)),
    )


def chosen_file(
    package: Mapping[str, Any], tags: Mapping[Tag, int], *, allow_source: bool
) -> LockedWheel | LockedSource | None:
    """The file of a pylock's package (PEP 751) that is to be installed, None if none can be."""
    try:
        require(is_name(canonicalize_name(package["name"])), "a library", package["name"])
        require(is_version(package["version"]), "a version", package["version"])
        wheel = best_wheel(package, tags)
        if wheel is not None or not (allow_source and "sdist" in package):
            return wheel
        return LockedSource(*file_values(package, package["sdist"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        name = package.get("name", "") if isinstance(package, dict) else ""
        raise LockInvalid(
            f"The lock does not tell name, version, address and sha256 of each file of {str(name)[:100]!a}.",
            hint="The package index has to give a sha256 of each file; an operator should look.",
        ) from error


def file_values(
    package: Mapping[str, Any], file: Mapping[str, Any]
) -> tuple[str, str, str, str, str, int | None]:
    """The raw values for `images.building.locks.files`, which checks them."""
    return (
        canonicalize_name(package["name"]),
        package["version"],
        filename_of(file),
        file["url"],
        file["hashes"]["sha256"],
        file.get("size"),
    )


def filename_of(file: Mapping[str, Any]) -> str:
    return str(file.get("name") or unquote(urlsplit(file["url"]).path.rpartition("/")[2]))


def best_wheel(package: Mapping[str, Any], tags: Mapping[Tag, int]) -> LockedWheel | None:
    """The library's wheel that fits best, None if none does."""
    ranked = []
    for wheel in package.get("wheels", []):
        filename = filename_of(wheel)
        try:
            *_, wheel_tags = parse_wheel_filename(filename)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        ranks = [tags[tag] for tag in wheel_tags if tag in tags]
        if ranks:
            ranked.append((min(ranks), filename, wheel))
    if not ranked:
        return None
    _, _, wheel = min(ranked, key=lambda item: item[:2])
    return LockedWheel(*file_values(package, wheel))


def package_text(name: str, version: str, files: Sequence[LockedFile]) -> str:
    """One of a pylock's `[[packages]]` (PEP 751). The values are checked ones, so they need no quoting."""
    lines = ["", "[[packages]]", f'name = "{name}"', f'version = "{version}"']
    lines += [f"sdist = {file_text(file)}" for file in files if isinstance(file, LockedSource)][:1]
    wheels = [f"    {file_text(file)}," for file in files if isinstance(file, LockedWheel)]
    return "\n".join([*lines, *(["wheels = [", *wheels, "]"] if wheels else [])])


def file_text(file: LockedFile) -> str:
    size = "" if file.size is None else f" size = {file.size},"
    return (
        f'{{ name = "{file.filename}", url = "{file.url}",{size} '
        f'hashes = {{ sha256 = "{file.sha256}" }} }}'
    )
