"""The native libraries that builds lack, each with the packages of the image's distribution that have it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from images.models import BaseImage, Build, LibraryIndex, LibraryPackage

# Several packages may have a library, as alternatives to one another.
PACKAGES_TOLD = 3
_IN_SITE_PACKAGES = re.compile(r".*/site-packages/([^/.]+)")


@dataclass(frozen=True)
class MissingNative:
    """A native library that an image needs and does not have, or has without `versions` of its symbols.

    `needed_by` is the path of a file that cannot be loaded, `library` the Python library that brought it.
    `packages` are OS packages with it, the likeliest first; empty if none is known, and for `versions`, which
    take a newer base image.
    """

    soname: str
    versions: tuple[str, ...]
    needed_by: str
    library: str
    packages: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """What people import, or the name of a program, that cannot be loaded."""
        found = _IN_SITE_PACKAGES.match(self.needed_by)
        return found.group(1) if found else self.needed_by.rpartition("/")[2]

    def __str__(self) -> str:
        if self.versions:
            return (
                f"{self.module} needs {self.soname} with {', '.join(self.versions)}, and the image has "
                "an older one: a newer base image has it."
            )
        told = f"{self.module} needs {self.soname}, which is in no layer."
        if not self.packages:
            return told
        kind = "packages" if len(self.packages) > 1 else "package"
        return f"{told} It is in the OS {kind} {', '.join(self.packages)}."


def missing_natives(build: Build | None) -> list[MissingNative]:
    """Those of one build; none for no build."""
    return missing_by_build([build])[build.pk] if build else []


def missing_by_build(builds: Iterable[Build]) -> dict[int, list[MissingNative]]:
    """Build → its missing libraries, at one query at most for all; `builds` have their base images."""
    found: dict[int, list[MissingNative]] = defaultdict(list)
    needy = [build for build in builds if build.missing_libraries]
    names = {item["soname"] for build in needy for item in build.missing_libraries}
    packages = packages_with(names) if names else {}
    for build in needy:
        of_base = (build.base_image.os_id, build.base_image.os_version)
        for item in build.missing_libraries:
            soname, versions = item["soname"], tuple(item["versions"])
            known = [] if versions else packages.get((*of_base, soname), [])
            found[build.pk].append(
                MissingNative(
                    soname,
                    versions,
                    item["needed_by"],
                    item["library"],
                    choose_likeliest(known, soname),
                )
            )
    return found


def packages_with(sonames: set[str]) -> dict[tuple[str, str, str], list[str]]:
    """(distribution, version, library) → packages."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    rows = LibraryPackage.objects.filter(soname__in=sonames).values_list(
        "index__distribution", "index__version", "soname", "package"
    )
    for distribution, version, soname, package in rows:
        found[distribution, version, soname].append(package)
    return found


def likeliest_packages(base: BaseImage, soname: str) -> tuple[str, ...]:
    """The OS packages of the base's distribution that have a library, the likeliest first."""
    found = packages_with({soname}).get((base.os_id, base.os_version, soname), [])
    return choose_likeliest(found, soname)


def choose_likeliest(packages: Sequence[str], soname: str) -> tuple[str, ...]:
    return tuple(
        sorted(packages, key=lambda package: unlikeliness(package, soname))[:PACKAGES_TOLD]
    )


def unlikeliness(package: str, soname: str) -> tuple[bool, int, str]:
    """The order in which packages are told: first the one that is named after the library.

    Debian Policy, 8.1: libraries' packages have the name and version of the SONAME; `t64` was added to some
    in 2024.
    """
    named_after = letters(soname.replace(".so", "", 1)) == letters(package.removesuffix("t64"))
    return not named_after, len(package), package


def letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def packages_to_add(missing: Sequence[MissingNative]) -> list[str]:
    """The likeliest OS package for each library, in the order in which the libraries are told."""
    return list(dict.fromkeys(item.packages[0] for item in missing if item.packages))


def is_awaited(base: BaseImage) -> bool:
    """Whether the packages of the base's distribution are being looked up."""
    return LibraryIndex.objects.of(base).active().exists()
