"""Unpacked base images: made once a machine, and shared by all commands that run upon them.

A command has them as lower folders of an overlay. The kernel never writes to those: what a command changes
goes to an upper folder of its own, or is refused (Linux, Documentation/filesystems/overlayfs.rst).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from django.conf import settings

from images.building.cache import work_folder
from images.building.commands import Deadline
from images.building.containers.container import STORAGE, unpack, unpacked_in
from images.building.containers.sandbox import Budget
from images.building.containers.trees import TreeCache
from images.registry.distribution.descriptors import hex_of


def tree_cache() -> TreeCache:
    """This machine's unpacked trees."""
    return TreeCache(settings.CACHE_DIR, settings.TREE_CACHE_BYTES)


@contextmanager
def base_root(
    digest: str,
    make_layout: Callable[[Path], Path],
    budget: Budget,
    deadline: Deadline,
    check: Callable[[], None],
) -> Iterator[list[Path]]:
    """The folders of a base image, the uppermost first, which stay while the context lasts.

    `make_layout` gives the image as an OCI layout below a folder; it is asked only if the image is not
    unpacked on this machine. Raises `SandboxBroken` where it cannot be unpacked, and what `make_layout`
    raises.
    """
    make = partial(_add_base, make_layout, budget, deadline, check)
    with tree_cache().held(f"base-{hex_of(digest)}", make, check) as base:
        yield unpacked_in(base / STORAGE)


def _add_base(
    make_layout: Callable[[Path], Path],
    budget: Budget,
    deadline: Deadline,
    check: Callable[[], None],
    made: Path,
) -> None:
    with work_folder(settings.CACHE_DIR, "base") as work:
        layout = make_layout(work)
        # buildah makes the image's name of this path, and a name takes fewer characters than a path:
        # so it is told the last part alone, from the folder above.
        image = f"oci:{layout.name}"
        unpack(image, layout.parent, made, budget=budget, deadline=deadline, check=check)
    shutil.rmtree(made / "run", ignore_errors=True)
