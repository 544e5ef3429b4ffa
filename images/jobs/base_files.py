"""The files of a base image on this machine, fetched from the registry where they are not here yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from images.building.commands import Deadline
from images.building.containers import container
from images.building.containers.base_roots import base_root, tree_cache
from images.building.containers.sandbox import Budget
from images.models import BaseImage
from images.registry import connection


@contextmanager
def hold_files(
    base: BaseImage, budget: Budget, deadline: Deadline, check: Callable[[], None]
) -> Iterator[list[Path]]:
    """The folders that it consists of, the uppermost first, for commands in sandboxes.

    They stay while the context lasts. Raises as `base_root`, and the registry's errors.
    """

    def make_layout(work: Path) -> Path:
        with connection.registry_client() as client:
            return container.base_layout(
                client, base.repository, base.manifest_digest, work / "layout", check
            )

    try:
        with base_root(base.manifest_digest, make_layout, budget, deadline, check) as folders:
            yield folders
    finally:
        tree_cache().trim()
