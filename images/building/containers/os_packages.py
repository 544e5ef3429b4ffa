"""OS packages: installed by the base's own package system in a sandbox of its own, kept as one layer.

Names and versions reach apt or dnf as arguments of a process. What the package system changed is the
overlay's upper folder, and becomes the layer; caches and logs are removed first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from django.conf import settings

from images.building.bases.inspection import DPKG_STATUS, dpkg_packages, listed_packages
from images.building.commands import Deadline, TimedOut
from images.building.containers import container
from images.building.containers.container import Container
from images.building.containers.sandbox import Budget, CommandFailed, SandboxBroken
from images.building.layers.tar import Layer
from images.building.layers.tree import write_tree_layer
from images.errors import BuildError, OSPackagesUnavailable
from images.os_families import OSFamily
from images.requirements import OSPackage

# Of one file of a package, and of what lies in its /tmp.
MAX_FILE_BYTES = 4 << 30

# The folders of an image's files, the uppermost first, which stay while the context lasts.
Files = Callable[[Budget, Deadline], AbstractContextManager[Sequence[Path]]]


def install(
    packages: Sequence[OSPackage],
    *,
    files: Files,
    family: OSFamily | None,
    work: Path,
    destination: Path,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> tuple[Layer, tuple[tuple[str, str], ...]]:
    """Install `packages` onto an image: the layer, and all packages there are then.

    `files` holds the folders that the image consists of.

    Raises `OSPackagesUnavailable` where it cannot be done at all, `BuildError` with the package
    system's last words if it refuses.
    """
    if refusal := container.problem():
        raise OSPackagesUnavailable(
            refusal, hint="Leave the OS packages empty to build this image."
        )
    try:
        with time_limit() as deadline, files(budget(), deadline) as lowers:
            box = Container(lowers, work, budget(), deadline, log, check)
            family = require_family(family)
            install_in(box, packages, family)
            listed = list_packages(box, family)
    except SandboxBroken as error:
        raise OSPackagesUnavailable(
            f"The builds worker cannot run a package system: {error}",
            hint="An operator should look at it; `manage.py doctor` tries it.",
        ) from error
    upper = box.upper()
    for pattern in family.leftovers:
        for path in upper.glob(pattern):
            if is_inside(upper, path):
                remove(path)
    return write_tree_layer(upper, destination), listed


@contextmanager
def time_limit() -> Iterator[Deadline]:
    """The time that all commands of one installation have together. Raises `BuildError` past it."""
    try:
        yield Deadline(settings.OS_PACKAGES_SECONDS)
    except TimedOut as error:
        raise BuildError(
            f"Installing the OS packages took longer than {settings.OS_PACKAGES_SECONDS} seconds.",
            hint="The package mirror may be slow; build again in a while.",
        ) from error


def budget() -> Budget:
    """Limits of a package system; what it installs goes to the disk and does not count as `disk`."""
    return Budget(
        memory=settings.OS_PACKAGES_MEMORY_BYTES,
        disk=MAX_FILE_BYTES,
        processes=settings.SOURCE_BUILD_PROCESSES,
        cpus=settings.SOURCE_BUILD_CPUS,
        output=settings.BUILD_OUTPUT_BYTES,
    )


def install_in(box: Container, packages: Sequence[OSPackage], family: OSFamily) -> None:
    """Have the container's package system install them. Raises `BuildError` with its last words."""
    try:
        for command in family.install(packages):
            box.run(command)
    except CommandFailed as error:
        raise install_error(error.said) from error


def require_family(family: OSFamily | None) -> OSFamily:
    """The family, if there is one. Raises `BuildError`."""
    if family is None:
        raise BuildError(
            "The base image's operating system has neither apt nor dnf.",
            hint="Choose another base image, or leave the OS packages empty.",
        )
    return family


def list_packages(box: Container, family: OSFamily) -> tuple[tuple[str, str], ...]:
    """(name, version) of all packages that are installed now, sorted. Raises `BuildError`."""
    if not family.listing:
        status = box.upper() / DPKG_STATUS.lstrip("/")
        there = is_inside(box.upper(), status) and status.is_file() and not status.is_symlink()
        return dpkg_packages(status.read_text(encoding="utf-8", errors="replace") if there else "")
    lines: list[str] = []
    try:
        box.run(family.listing, log=lines.append)
    except CommandFailed as error:
        raise BuildError(
            f"The installed OS packages cannot be listed. {' '.join(error.said[-3:])[:1000]}",
            hint="The base image's package database may be damaged; choose another base image.",
        ) from error
    return listed_packages(lines)


def install_error(said: Sequence[str]) -> BuildError:
    """The package system's own complaint as an error: apt marks it with `E:`, dnf with `Error:`."""
    complaints = [line for line in said if line.startswith(("E: ", "Error: ", "No match for"))]
    text = (
        " ".join(complaints[:3] or said[-3:])[:1000] or "The package system failed without a word."
    )
    return BuildError(
        f"The OS packages cannot be installed. {text}",
        hint="Check the package's name and version against the base image's operating system.",
    )


def is_inside(upper: Path, path: Path) -> bool:
    """Whether a path of the container's is reached without a link: one could lead to this machine."""
    return path.parent.resolve() == upper.resolve() / path.parent.relative_to(upper)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
