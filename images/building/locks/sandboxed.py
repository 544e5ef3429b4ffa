"""The lock of a resolution that code of strangers could watch, made anew of what the index pages say.

A source distribution's code runs while uv resolves, as the same user, and so may write anything into uv's
lock. From that text nothing is taken but which of the index's files it names (`IndexDoor.files_named_in`):
their names, versions, hashes and sizes are those of the pages that the worker itself read, and of nobody
else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import httpx
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from images.building.containers.index_proxy import IndexedFile
from images.building.locks.files import (
    Lock,
    LockedFile,
    LockedSource,
    LockedWheel,
    is_sdist,
)
from images.building.locks.pylock import package_text, parse_lock
from images.building.locks.target import Target
from images.building.locks.unhashed import content_of
from images.errors import SourceBuildFailed
from images.requirements import PipRequirement


def lock_of_files(
    files: Iterable[IndexedFile],
    requirements: Sequence[PipRequirement],
    target: Target,
    client: httpx.Client,
    check: Callable[[], None],
) -> Lock:
    """A lock of these files of the index. `client` fetches those whose sha256 no page tells.

    Raises `SourceBuildFailed` if they are not one version of each library, or not what `requirements` ask
    for.
    """
    by_library: dict[str, list[IndexedFile]] = defaultdict(list)
    for file in files:
        by_library[file.name].append(file)
    refuse_other_versions(by_library, requirements)
    packages = []
    for name in sorted(by_library):
        suiting = files_for(by_library[name], target.tags)
        locked = [locked_file(file, client, check) for file in suiting]
        packages.append(package_text(name, by_library[name][0].version, locked))
    text = "\n".join(['lock-version = "1.0"', 'created-by = "ri-platform"', *packages])
    return parse_lock(text + "\n", target, allow_source=True)


def refuse_other_versions(
    by_library: dict[str, list[IndexedFile]], requirements: Sequence[PipRequirement]
) -> None:
    for name, files in by_library.items():
        if len({file.version for file in files}) > 1:
            raise tampering_error(f"names several versions of {name}")
    for wanted in requirements:
        found = by_library.get(wanted.normalized_name)
        if not found:
            raise tampering_error(f"leaves out {wanted.name}")
        if not SpecifierSet(wanted.specifier).contains(found[0].version, prereleases=True):
            raise tampering_error(
                f"names {wanted.name} {found[0].version}, which was not asked for"
            )


def tampering_error(how: str) -> SourceBuildFailed:
    return SourceBuildFailed(
        f"The lock {how}.", hint="A library's build code meddled with it; do not build it."
    )


def files_for(files: Sequence[IndexedFile], tags: dict[Tag, int]) -> list[IndexedFile]:
    """The wheels that suit the target, else the source distribution, and whatever else needs no fetching."""
    wheels = [file for file in files if is_wheel_for(file, tags)]
    needed = wheels or [file for file in files if is_sdist(file.filename)]
    return [file for file in files if file.sha256 or file in needed]


def is_wheel_for(file: IndexedFile, tags: dict[Tag, int]) -> bool:
    try:
        *_, own = parse_wheel_filename(file.filename)
    except InvalidWheelFilename:
        return False
    return any(tag in tags for tag in own)


def locked_file(file: IndexedFile, client: httpx.Client, check: Callable[[], None]) -> LockedFile:
    """The file as a value of a lock; where its page tells no sha256, that of what the index gives now."""
    kind = LockedSource if is_sdist(file.filename) else LockedWheel
    sha256, size = (file.sha256, file.size) if file.sha256 else content_of(file.url, client, check)
    return kind(file.name, file.version, file.filename, file.url, sha256, size)
