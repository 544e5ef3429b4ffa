"""Repositories that no record knows, for the page and the operations that decide about them."""

from __future__ import annotations

from images.models import UnknownRepository
from ri_platform.errors import NotFound


def unknown_repository(name: str) -> UnknownRepository:
    """The one of this name. Raises `NotFound`."""
    found = UnknownRepository.objects.open().filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no unknown repository named {name[:200]}.")
    return found
