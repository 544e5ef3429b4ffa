"""Root file systems made from a suite of Debian or Ubuntu, once per suite and machine.

They stand in for the official images where those cannot be reached. mmdebstrap makes them where it may: as
root, or with the user namespaces of an ordinary user (`images.building.bases.mmdebstrap`). Elsewhere apt
fetches the packages, and they are unpacked without any privilege (`images.building.bases.unpacked_debian`).
Each way gives the same bytes for the same packages.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from images.building.bases import mmdebstrap, unpacked_debian
from images.building.bases.content import ImageContent
from images.building.bases.from_rootfs import compress_rootfs, one_layer_image
from images.building.bases.recipe import RECIPE, Recipe
from images.building.layers.tar import Layer
from images.errors import BaseImageUnusable

# Seconds that another process may be at the same, and between looks whether it is done.
LONGEST = mmdebstrap.TIMEOUT_SECONDS
LOOK_SECONDS = 0.5


def from_suite(
    suite: str,
    cache: Path,
    *,
    work: Path,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> ImageContent:
    """A one-layer image of a suite, the text of a `Recipe`; `cache` keeps its layer for the next time.

    Raises `BaseImageUnusable` if it cannot be made here.
    """
    recipe = Recipe.parse(suite)
    mirror = recipe.distribution.mirror_of_this_machine()
    cache.mkdir(parents=True, exist_ok=True)
    rootfs = work / "rootfs.tar"
    with one_at_a_time(cache / f"debian-{recipe}.lock", check):
        kept = cache / f"debian-{recipe}-{RECIPE}.tar.gz"
        refused = mmdebstrap.problem()
        if refused is None and not kept.exists():
            log(f"Making a root file system of {recipe.title}; this takes about a minute")
            try:
                mmdebstrap.make(recipe, rootfs, work, mirror, check)
            except BaseImageUnusable as error:
                refused = mmdebstrap.Problem(f"{error.message.rstrip('.')}.", error.hint)
            else:
                keep(rootfs, kept)
        if refused is not None:
            kept = cache / f"debian-{recipe}-unpacked-{RECIPE}.tar.gz"
            if not kept.exists():
                unpack_rootfs(recipe, rootfs, work, mirror, refused, log, check)
                keep(rootfs, kept)
    return one_layer_image(cached_layer(kept, work), work, recipe.user)


@contextmanager
def one_at_a_time(file: Path, check: Callable[[], None]) -> Iterator[None]:
    """Wait while another process makes the same, and take what it made.

    One that takes longer than it may is paused, and is waited for no more: twice made is the same.
    """
    until = time.monotonic() + LONGEST
    with file.open("w") as lock:
        while time.monotonic() < until:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                check()
                time.sleep(LOOK_SECONDS)
            else:
                break
        yield


def unpack_rootfs(
    recipe: Recipe,
    rootfs: Path,
    work: Path,
    mirror: str,
    refused: mmdebstrap.Problem,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> None:
    if reason := unpacked_debian.problem():
        raise BaseImageUnusable(
            f"No base image can be made of {recipe.title}: {refused.reason} {reason}",
            hint=f"{refused.to_do} Or import one from a registry: manage.py import_base_image.",
        )
    log(f"{refused.reason} Unpacking the packages of {recipe.title} without it")
    unpacked_debian.make(recipe, rootfs, work, mirror, check)


def keep(rootfs: Path, kept: Path) -> None:
    """Keep the tar, compressed; it appears under its name only when it is complete."""
    partial = kept.with_suffix(f".{os.getpid()}.part")
    compress_rootfs(rootfs, partial)
    partial.replace(kept)
    rootfs.unlink()


def cached_layer(kept: Path, work: Path) -> Layer:
    """The kept layer with its digests, which recompressing it tells while it verifies the file."""
    return compress_rootfs(kept, work / "rootfs.tar.gz")
