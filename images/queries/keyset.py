"""Keyset pagination: each page costs the same at any depth, and new rows do not shift the pages.

The page token is signed and carries the filters, since clients send these with the first page only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from django.db.models import Exists, OuterRef
from packaging.utils import canonicalize_name, canonicalize_version

from images.models import InstalledLibrary, ManagedImage
from images.models.managed_image import ManagedImageQuerySet
from images.queries.page_tokens import read_content, sign_content
from images.queries.searching import find_images
from images.spec import ImageSpec
from workspaces.models import User

# Another one with each change of what a token holds.
SALT = "images.queries.keyset.2"
PAGE_SIZE = 20
MAX_PAGE_SIZE = 200
# PEP 508's names, and what may stand in a version; whether it is one, canonicalization finds out.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")


@dataclass(frozen=True)
class LibraryFilter:
    """A library that must be installed; an empty version stands for any."""

    name: str
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> LibraryFilter | None:
        """`pandas` or `pandas==2.2.3`; None for what is neither."""
        name, pinned, version = (part.strip() for part in text.partition("=="))
        if not _NAME.fullmatch(name) or (pinned and not _VERSION.fullmatch(version)):
            return None
        return cls(canonicalize_name(name), version)

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.name

    @property
    def conditions(self) -> dict[str, Any]:
        found: dict[str, Any] = {"normalized_name": canonicalize_name(self.name)}
        if self.version:
            found["normalized_version"] = canonicalize_version(self.version)
        return found


@dataclass(frozen=True)
class ListFilter:
    """Which images: all that fit what is given."""

    libraries: Sequence[LibraryFilter] = ()
    search: str = ""
    status: str = ""


# What the API tells of an image.
ANSWERED = (
    *(field.name for field in fields(ImageSpec)),
    "name", "description", "status", "import_policy", "created_at", "updated_at",
    *(f"current_build__{column}" for column in ("number", "manifest_digest", "size_bytes")),
    *(
        f"current_build__base_image__{column}"
        for column in ("platform_version", "os_family", "os_id", "libc", "libc_version", "machine")
    ),
    "created_by__username", "created_by__is_active", "created_in__name",
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """The names of the images of a page. `next_token` is the token that was asked with when this is the last
    page, as the clients expect.
    """

    names: list[str]
    next_token: str


def page_of_images(user: User, wanted: ListFilter, token: str = "", size: int = PAGE_SIZE) -> Page:
    """The images that are wanted, by name. Raises `Invalid` for a token not ours."""
    after = ""
    if token:
        after, wanted = read_page_token(token)
    found = names_after(user, wanted, after, size + 1)
    more = len(found) > size
    return Page(found[:size], page_token(found[size - 1], wanted) if more else token)


def image_rows() -> ManagedImageQuerySet:
    """Images with what answers tell of them: locks, and what base images consist of, are long."""
    related = ("current_build__base_image", "created_by", "created_in")
    return ManagedImage.objects.select_related(*related).only(*ANSWERED)


def names_after(user: User, wanted: ListFilter, after: str, limit: int) -> list[str]:
    """The images' names in their order; by libraries alone, read from the index of libraries alone."""
    images = ManagedImage.objects.visible_to(user).filter(name__gt=after)
    if wanted.search or wanted.status or not wanted.libraries:
        if wanted.status:
            images = images.filter(status=wanted.status)
        conditions = [library.conditions for library in wanted.libraries]
        images = find_images(images, wanted.search, conditions).images
        return list(images.order_by("name").values_list("name", flat=True)[:limit])
    current = InstalledLibrary.objects.current()
    rows = current.filter(current_of__gt=after, **wanted.libraries[0].conditions)
    for other in wanted.libraries[1:]:
        rows = rows.filter(
            Exists(current.filter(current_of=OuterRef("current_of"), **other.conditions))
        )
    found = rows.order_by("current_of").values_list("current_of", flat=True)[:limit]
    return [name for name in found if name is not None]


def page_token(after: str, wanted: ListFilter) -> str:
    libraries = [[item.name, item.version] for item in wanted.libraries]
    return sign_content([after, libraries, wanted.search, wanted.status], SALT)


def read_page_token(token: str) -> tuple[str, ListFilter]:
    after, libraries, search, status = read_content(token, SALT)
    found = [LibraryFilter(name, version) for name, version in libraries]
    return after, ListFilter(found, search, status)
