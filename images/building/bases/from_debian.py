"""Root file systems made from a Debian suite, once per suite and machine.

They stand in for the official images where those cannot be reached. mmdebstrap makes them where it may: as
root, or with the user namespaces of an ordinary user (`images.building.bases.mmdebstrap`). Elsewhere apt
fetches the packages, and they are unpacked without any privilege (`images.building.bases.unpacked_debian`).
Each way gives the same bytes for the same packages.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from images.building.bases import mmdebstrap, unpacked_debian
from images.building.bases.content import ImageContent
from images.building.bases.from_rootfs import compress_rootfs, one_layer_image
from images.building.layers.tar import Layer
from images.errors import BaseImageUnusable

# suite → the Python that Debian ships in it
SUITES = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
# Counts up whenever a recipe gives other bytes.
RECIPE = 1


def from_suite(
    suite: str,
    cache: Path,
    *,
    work: Path,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> ImageContent:
    """A one-layer image of a Debian suite; `cache` keeps its layer for the next time.

    Raises `BaseImageUnusable` if it cannot be made here.
    """
    if suite not in SUITES:
        raise BaseImageUnusable(
            f"{suite!r} is not a Debian suite that is known here.",
            hint=f"Use one of {', '.join(sorted(SUITES))}.",
        )
    cache.mkdir(parents=True, exist_ok=True)
    rootfs = work / "rootfs.tar"
    with (cache / f"debian-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = cache / f"debian-{suite}-{RECIPE}.tar.gz"
        refused = mmdebstrap.problem()
        if refused is None and not kept.exists():
            log(f"Making a root file system of Debian {suite}; this takes about a minute")
            try:
                mmdebstrap.make(suite, rootfs, work, mirror_of_this_machine(), check)
            except BaseImageUnusable as error:
                refused = mmdebstrap.Problem(f"{error.message.rstrip('.')}.", error.hint)
            else:
                keep(rootfs, kept)
        if refused is not None:
            kept = cache / f"debian-{suite}-unpacked-{RECIPE}.tar.gz"
            if not kept.exists():
                make_unpacked(suite, rootfs, work, refused, log, check)
                keep(rootfs, kept)
    return one_layer_image(cached_layer(kept, work), work)


def make_unpacked(
    suite: str,
    rootfs: Path,
    work: Path,
    refused: mmdebstrap.Problem,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> None:
    if reason := unpacked_debian.problem():
        raise BaseImageUnusable(
            f"No base image can be made of Debian {suite}: {refused.reason} {reason}",
            hint=f"{refused.to_do} Or import one from a registry: manage.py import_base_image.",
        )
    log(f"{refused.reason} Unpacking the packages of Debian {suite} without it")
    unpacked_debian.make(
        suite, rootfs, work, mirror_of_this_machine() or unpacked_debian.DEBIAN, check
    )


def keep(rootfs: Path, kept: Path) -> None:
    """Keep the tar, compressed; it appears under its name only when it is complete."""
    partial = kept.with_suffix(f".{os.getpid()}.part")
    compress_rootfs(rootfs, partial)
    partial.replace(kept)
    rootfs.unlink()


def cached_layer(kept: Path, work: Path) -> Layer:
    """The kept layer with its digests, which recompressing it tells while it verifies the file."""
    return compress_rootfs(kept, work / "rootfs.tar.gz")


def mirror_of_this_machine() -> str:
    """The machine's own mirror where it runs Debian, as its network may reach no other; else empty."""
    for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        for word in text.split():
            if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                return word
    return ""
