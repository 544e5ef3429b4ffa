"""The native libraries that an image needs and its loader would not find, from the reports of its layers.

More lenient than ld.so(8), which looks into certain folders: wheels load libraries of their own before they
are needed, and set search paths while they run. So a library counts as there if any file of the image has its
name. What is told missing then is missing under every search path.

Some extension modules are optional: their library imports them if it can, as numba its pool of TBB threads.
So a library that most modules of can be loaded is taken to work, and what the others lack is optional.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from images.building.native.report import NativeReport, NeedyFile, Versions, provided_by

# Libraries of the host's driver, which the container runtime adds to a container with a GPU: they are of the
# kernel module's own version and are in no image. Source: NVIDIA Container Toolkit, "Driver Capabilities".
OF_THE_HOST = re.compile(
    r"lib(cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[a-z0-9-]+)\.so(\.1)?|lib\w+_nvidia\.so(\.\d+)?"
)
# Files for another C library than the one whose loader runs Python here.
OF_MUSL = re.compile(r"libc\.musl-.*|ld-musl-.*")
# What one image is told of: whatever needs more lacks a whole desktop.
MAX_TOLD = 50
# Each version tells the same: that a newer library is needed.
MAX_VERSIONS_TOLD = 10


@dataclass(frozen=True)
class MissingLibrary:
    """A native library that an image needs and does not have, or has without some versions of symbols.

    `needed_by` is the path of a file that cannot be loaded without it, though another may be the one that
    needs it, and `library` the Python library that brought this file. `versions` are empty if there is no
    such file at all.
    """

    soname: str
    versions: Versions
    needed_by: str
    library: str
    is_optional: bool = False


def missing_libraries(
    below: Sequence[NativeReport], wheels: Sequence[NativeReport]
) -> list[MissingLibrary]:
    """What the files in `wheels` need and neither they nor `below` (base, OS packages) provide; at most
    `MAX_TOLD`, each name once, what is optional last."""
    provided = provided_by([*below, *wheels])
    loaded = loaded_files(wheels)
    found = [
        MissingLibrary(soname, versions, root.path, root.library)
        for file, root in loaded.items()
        for soname, versions in find_lacking(file, provided)
    ]
    working = working_libraries(loaded.values(), {item.needed_by for item in found})
    told: dict[str, MissingLibrary] = {}
    for item in sorted(found, key=lambda item: item.library in working):
        first = told.setdefault(item.soname, replace(item, is_optional=item.library in working))
        versions = tuple(dict.fromkeys((*first.versions, *item.versions)))
        told[item.soname] = replace(first, versions=versions[:MAX_VERSIONS_TOLD])
    return list(told.values())[:MAX_TOLD]


def working_libraries(roots: Iterable[NeedyFile], broken: set[str]) -> set[str]:
    """The Python libraries that most of the files can be loaded of; `broken` are paths."""
    every: dict[str, set[str]] = defaultdict(set)
    for root in roots:
        every[root.library].add(root.path)
    return {name for name, paths in every.items() if len(paths & broken) * 2 <= len(paths)}


def find_lacking(file: NeedyFile, provided: dict[str, Versions]) -> Iterator[tuple[str, Versions]]:
    """The libraries that are not there for one file, and those that are there without some versions."""
    needed = [name.rpartition("/")[2] for name in file.needed]
    if any(OF_MUSL.fullmatch(name) for name in needed):
        return
    for name in needed:
        if name not in provided and not OF_THE_HOST.fullmatch(name):
            yield name, ()
    for name, versions in file.versions:
        # A library without versions of symbols is accepted by the loader, with a warning.
        defined = provided.get(name)
        if defined and (absent := tuple(v for v in versions if v not in defined)):
            yield name, absent


def loaded_files(wheels: Sequence[NativeReport]) -> dict[NeedyFile, NeedyFile]:
    """The files that are loaded by themselves, what these need, and so on: each with the one that is loaded
    by itself."""
    by_name: dict[str, list[NeedyFile]] = defaultdict(list)
    for report in wheels:
        for file in report.files:
            for name in {file.name, file.soname}:
                by_name[name].append(file)
    found = {file: file for report in wheels for file in report.files if file.is_loaded}
    waiting = list(found)
    while waiting:
        file = waiting.pop()
        for name in file.needed:
            for other in by_name.get(name.rpartition("/")[2], ()):
                if other not in found:
                    found[other] = found[file]
                    waiting.append(other)
    return found
