"""Fetching a base image from its source: a registry, an OCI layout, a rootfs tar or a suite."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from django.conf import settings

from images.building.bases.content import ImageContent
from images.building.bases.from_debian import from_suite
from images.building.bases.from_layout import from_oci_layout
from images.building.bases.from_registry import from_registry
from images.building.bases.from_rootfs import from_rootfs_tar
from ri_platform.errors import DomainError

logger = logging.getLogger(__name__)

# "Docker Hub if it can be reached within seconds": an alternative stands behind it.
REGISTRY_TIMEOUT = 8.0

Check = Callable[[], None]


class Kind(Protocol):
    @property
    def word(self) -> str: ...


class Source(Protocol):
    """The part of `images.models.base_source.Source` that is read here."""

    @property
    def kind(self) -> Kind: ...
    @property
    def name(self) -> str: ...
    @property
    def alternative(self) -> Source | None: ...


def _registry(name: str, work: Path, check: Check) -> ImageContent:
    return from_registry(name, work, log=logger.info, check=check, timeout=REGISTRY_TIMEOUT)


def _layout(name: str, work: Path, check: Check) -> ImageContent:
    return from_oci_layout(Path(name), work=work)


def _rootfs(name: str, work: Path, check: Check) -> ImageContent:
    return from_rootfs_tar(Path(name), work=work)


def _suite(name: str, work: Path, check: Check) -> ImageContent:
    cache = settings.CACHE_DIR / "bases"
    return from_suite(name, cache, work=work, log=logger.info, check=check)


FETCH: dict[str, Callable[[str, Path, Check], ImageContent]] = {
    "registry": _registry,
    "layout": _layout,
    "rootfs": _rootfs,
    "suite": _suite,
}


def obtain(source: Source, work: Path, check: Check) -> ImageContent:
    """The image that a source names; its alternative's where the first cannot be had.

    `check` is asked between the steps, and may raise.
    """
    try:
        return FETCH[source.kind.word](source.name, work, check)
    except DomainError as error:
        if source.alternative is None:
            raise
        logger.info(
            "%s:%s cannot be had (%s); trying its alternative",
            source.kind.word,
            source.name,
            error,
        )
        return obtain(source.alternative, work, check)
