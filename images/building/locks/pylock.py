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
from images.building.locks.order import installation_order
from images.building.locks.target import Target
from images.errors import LockInvalid, NoWheel, ResolutionFailed
from images.lock_packages import packages_of


def parse_lock(text: str, target: Target, *, allow_source: bool = False) -> Lock:
    """Choose from a pylock.toml the wheel of each library that suits `target` best.

    With `allow_source`, a library without one is taken as its source distribution. Nothing in the text is
    believed: what is chosen checks itself (`images.building.locks.files`). Raises `NoWheel` naming a
    library that has neither, `ResolutionFailed` for what is no lock, `LockInvalid` for a lock that names
    what cannot be a library's file.
    """
    try:
        packages = packages_of(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ResolutionFailed(f"The lock is not a pylock.toml: {error}.") from error
    tags = target.tags
    chosen: dict[str, LockedWheel | LockedSource] = {}
    needs: dict[str, list[str]] = {}
    for package in packages if isinstance(packages, list) else ():
        file = chosen_file(package, tags, allow_source=allow_source)
        if file is None:
            raise NoWheel(
                f"{canonicalize_name(package['name'])} {package['version']} has no wheel for {target}.",
                hint="Choose another version of it, or another Python version.",
            )
        if file.name in chosen:
            raise LockInvalid(
                f"The lock names {file.name} twice.", hint="Build the image anew, without its lock."
            )
        chosen[file.name] = file
        needs[file.name] = names_needed(package)
    files = [chosen[name] for name in sorted(chosen)]
    return Lock(
        text,
        tuple(file for file in files if isinstance(file, LockedWheel)),
        tuple(file for file in files if isinstance(file, LockedSource)),
        tuple(installation_order(needs)),
    )


def names_needed(package: Mapping[str, Any]) -> list[str]:
    """The libraries that a package's `dependencies` name (PEP 751), as far as they are told."""
    told = package.get("dependencies", [])
    return [
        canonicalize_name(str(item["name"]))
        for item in (told if isinstance(told, list) else ())
        if isinstance(item, dict) and "name" in item
    ]


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
    wheel = best_wheel_table(package, tags)
    return None if wheel is None else LockedWheel(*file_values(package, wheel))


def best_wheel_table(
    package: Mapping[str, Any], tags: Mapping[Tag, int]
) -> Mapping[str, Any] | None:
    """The pylock's table of the wheel with the best tags, and of those the highest build number (PEP 427)."""
    ranked = []
    for wheel in package.get("wheels", []):
        filename = filename_of(wheel)
        try:
            _, _, build, wheel_tags = parse_wheel_filename(filename)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        ranks = [tags[tag] for tag in wheel_tags if tag in tags]
        if ranks:
            # None at all sorts before any number, as an empty tuple does.
            ranked.append((-min(ranks), build, filename, wheel))
    return max(ranked, key=lambda item: item[:3])[3] if ranked else None


def hashed_files(package: Mapping[str, Any]) -> list[LockedFile]:
    """The files of a package whose sha256 is told, as values that check themselves."""

    def is_told(file: Mapping[str, Any]) -> bool:
        return "sha256" in file.get("hashes", {})

    wheels = [
        LockedWheel(*file_values(package, file))
        for file in package.get("wheels", [])
        if is_told(file)
    ]
    source = package.get("sdist")
    if source and is_told(source):
        return [*wheels, LockedSource(*file_values(package, source))]
    return list(wheels)


def package_values(package: Mapping[str, Any]) -> tuple[str, str]:
    """Normalized name and version."""
    return canonicalize_name(package["name"]), package["version"]


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
