"""The packages of a distribution with dnf by the native libraries that they bring, as its repositories say.

rpm notes of each package which libraries it provides: `libGL.so.1()(64bit)`. dnf, run upon a base image of
the distribution, verifies and reads that of the repositories that the image itself names. Sources: rpm's
documentation, "ELF dependency generators"; dnf's repoquery.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from images.building.containers.container import Container
from images.building.containers.sandbox import CommandFailed
from images.building.native.debian_contents import MAX_FOUND
from images.errors import BaseImageUnusable
from images.os_families import OSFamily

# All packages of Fedora, 75,000, provide some two million things in 100 MB.
MAX_OUTPUT = 1 << 30
# What a line of a package is, and one of a library of x86-64 that it provides, whatever its version.
_PACKAGE = re.compile(r"@([A-Za-z0-9][A-Za-z0-9._+-]{0,100})")
_LIBRARY = re.compile(r"([A-Za-z0-9_.+-]{1,200}\.so(?:\.[A-Za-z0-9_.+-]{1,50})?)\(\)\(64bit\)")


def library_packages(box: Container, family: OSFamily, title: str) -> set[tuple[str, str]]:
    """(soname, package) of all libraries in the repositories of the image in `box`.

    Raises `BaseImageUnusable` with dnf's last words, and what `Container.run` raises.
    """
    found: set[tuple[str, str]] = set()
    try:
        box.run(family.libraries, log=add_pairs(found))
    except CommandFailed as error:
        raise BaseImageUnusable(
            f"dnf could not read the repositories of {title}: {' '.join(error.said[-3:])[-1000:]}",
            hint="An operator should look at the network of the builds workers.",
        ) from error
    if not found:
        # dnf leaves out repositories that it cannot reach where their files say so.
        raise BaseImageUnusable(
            f"The repositories of {title} tell of no library.",
            hint="An operator should look at the network of the builds workers.",
        )
    return found


def add_pairs(found: set[tuple[str, str]]) -> Callable[[str], None]:
    """What takes the answer of `OSFamily.libraries` line by line and adds (soname, package) to `found`.

    dnf's own remarks are lines of neither kind.
    """
    package = ""

    def read(line: str) -> None:
        nonlocal package
        if named := _PACKAGE.fullmatch(line):
            package = named.group(1)
        elif package and (library := _LIBRARY.fullmatch(line)):
            found.add((library.group(1), package))
            if len(found) > MAX_FOUND:
                raise BaseImageUnusable("The repositories tell of more libraries than can be.")

    return read
