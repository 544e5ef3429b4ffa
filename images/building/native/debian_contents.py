"""The packages of a Debian or Ubuntu suite by the native libraries that they bring, from its Contents index.

apt itself, in folders of its own, verifies the index by the suite's signature and fetches it. Source: the
Debian repository format, "Contents indices"; apt's acquire-additional-files documentation.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from images.building.bases import unpacked_debian
from images.building.bases.distributions import DISTRIBUTIONS, Distribution
from images.building.bases.mmdebstrap import environment
from images.building.commands import TimedOut, output_of
from images.errors import BaseImageUnusable

HELPER = "/usr/lib/apt/apt-helper"
# For one index, with what is taken out of it meanwhile.
READ_SECONDS = 600.0
_TARGET = "Acquire::IndexTargets::deb::Contents-deb"
OPTIONS = {
    f"{_TARGET}::ShortDescription": "Contents",
    f"{_TARGET}::Description": "$(RELEASE) Contents",
    # 20 to 50 MB instead of 500 to 800; apt-helper reads it as it is.
    f"{_TARGET}::KeepCompressed": "true",
    f"{_TARGET}::PDiffs": "false",
    "Acquire::IndexTargets::deb::Packages::DefaultEnabled": "false",
    "Acquire::IndexTargets::deb::Translations::DefaultEnabled": "false",
}
# Bookworm has 17,000 libraries where the loader looks for them, in 6,000 packages.
MAX_FOUND = 200_000
_SUITE = re.compile(r"[a-z]{2,40}")
# A file in one of the loader's own folders (ld.so(8)), its name, and the sections and packages that have it.
_LINE = re.compile(
    r"(?:usr/)?lib(?:64|/x86_64-linux-gnu)?/(?P<name>[A-Za-z0-9_.+-]{1,200}\.so(?:\.[A-Za-z0-9_.+-]{1,50})?)"
    r"\s+(?P<packages>\S{1,2000})"
)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,100}")
# Sections of what is compiled against libraries, or debugs them; programs get by without.
_LEFT_OUT = {"libdevel", "debug"}


def is_known(distribution: str, version: str) -> bool:
    """Whether the index of this distribution can be read here, by os-release's ID and VERSION_CODENAME."""
    return distribution in DISTRIBUTIONS and bool(_SUITE.fullmatch(version))


def library_packages(
    distribution: Distribution, suite: str, folder: Path, mirror: str, check: Callable[[], None]
) -> set[tuple[str, str]]:
    """(file name, package) of the libraries in the suite: in Debian's main component, in all of Ubuntu's.

    An empty `mirror` is the distribution's own.

    Raises `BaseImageUnusable` with apt's last words if the index cannot be had.
    """
    if reason := unpacked_debian.problem():
        raise BaseImageUnusable(reason)
    title = f"{distribution.title} {suite}"
    options = {**OPTIONS, f"{_TARGET}::MetaKey": distribution.contents}
    apt = unpacked_debian.own_apt(as_released(distribution), suite, folder, mirror, options)
    unpacked_debian.run(title, [*apt, "--error-on=any", "update"], check)
    (kept,) = (folder / "state/lists").glob("*_Contents-*")
    found = set()
    for number, pair in enumerate(pairs(lines_of(kept))):
        if number % 1_000 == 0:
            check()
        found.add(pair)
        if len(found) > MAX_FOUND:
            raise BaseImageUnusable(f"{title} tells of more libraries than can be.")
    return found


def as_released(distribution: Distribution) -> Distribution:
    """The suite itself with one component: no other has an index that is read."""
    return replace(distribution, components="main", pockets=("",))


def lines_of(kept: Path) -> Iterator[str]:
    """The lines of an index as apt keeps it, compressed in whichever way."""
    command = [HELPER, "cat-file", str(kept)]
    try:
        with output_of(command, timeout=READ_SECONDS, environment=environment()) as process:
            assert process.stdout is not None
            yield from io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace")
    except TimedOut as error:
        raise BaseImageUnusable(
            f"apt's index {kept.name} was not read within {READ_SECONDS:.0f} seconds."
        ) from error
    if process.returncode != 0:
        raise BaseImageUnusable(f"apt cannot read its own index {kept.name}.")


def pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(file name, package) of the lines that are shared libraries."""
    for line in lines:
        # Most lines are of other files, and a pattern takes longer than this.
        if ".so" not in line:
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            continue
        for place in found["packages"].split(","):
            # The section may stand behind the component: `libs/libgl1`, `universe/libs/libodbc2`.
            *sections, package = place.split("/")
            if _LEFT_OUT.isdisjoint(sections) and _PACKAGE.fullmatch(package):
                yield found["name"], package
