"""Repository names, and the guard that every call to the registry passes through.

`<prefix>/`, or `<prefix>/<segment>/` where instances share a prefix, is called the prefix of an instance. An
instance has the names directly under it and those under three fixed words, and no other name is ever acted
on: what is deeper may be that of another instance, with a segment of its own.

The rules are Amazon ECR's for `repositoryName` (API reference, CreateRepository): 2 to 256 characters,
path components of lower-case letters and digits with single separators between them.
"""

from __future__ import annotations

import re

from django.conf import settings

from images.errors import RepositoryOutsidePrefix

DEFAULT_PREFIX = "rime-managed-images"
MAX_LENGTH = 256
BASE, DOCTOR, INSTANCE = "base", "doctor", "instance"
# No image's name has a slash, so nothing under these words meets an image. No segment may be one of them.
RESERVED = (BASE, DOCTOR, INSTANCE)

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
# ECR's own pattern; `fullmatch`, because `$` would let a trailing newline through.
_REPOSITORY = re.compile(rf"(?:{_COMPONENT}/)*{_COMPONENT}", re.ASCII)


def normalize_prefix(configured: str) -> str:
    """The effective prefix: empty means the default, never "everything".

    Surrounding blanks and one trailing slash are dropped. Raises `ValueError` with a sentence if no
    repository under the prefix could ever be created.
    """
    prefix = configured.strip().removesuffix("/")
    if not prefix:
        if configured.strip() == "/":
            raise ValueError("a slash alone is not a prefix.")
        return DEFAULT_PREFIX
    if not _REPOSITORY.fullmatch(prefix):
        raise ValueError(
            f"{prefix!r} does not follow ECR's rules: lower-case letters and digits, with single "
            "'.', '_', '-' or '/' between them."
        )
    if len(prefix) > MAX_LENGTH - len("/base/") - 128:
        raise ValueError("it leaves no room for an image's name of 128 characters.")
    return prefix


def add_segment(prefix: str, segment: str) -> str:
    """The prefix of an instance with a segment of its own; without one, `prefix` as it is.

    Raises `ValueError` with a sentence for a segment that is no single component, or is reserved.
    """
    segment = segment.strip()
    if not segment:
        return normalize_prefix(prefix)
    if not re.fullmatch(_COMPONENT, segment, re.ASCII):
        raise ValueError(
            f"{segment!r} is not one word of lower-case letters and digits, with single '.', '_' or '-' "
            "between them."
        )
    if segment in RESERVED:
        raise ValueError(f"{segment!r} is reserved, as are {', '.join(RESERVED)}.")
    return normalize_prefix(f"{normalize_prefix(prefix)}/{segment}")


def effective_prefix() -> str:
    """The prefix of this instance, with its own segment if it has one; never empty."""
    return add_segment(settings.REPOSITORY_PREFIX, settings.REPOSITORY_SEGMENT)


def guard(prefix: str, repository: str) -> str:
    """`repository` unchanged, if it is a valid name of an instance with this prefix.

    Raises `RepositoryOutsidePrefix`; nothing has been sent then.
    """
    effective = normalize_prefix(prefix)
    if (
        len(repository) <= MAX_LENGTH
        and _REPOSITORY.fullmatch(repository)
        and repository.startswith(f"{effective}/")
        and is_own(repository.removeprefix(f"{effective}/"))
    ):
        return repository
    raise RepositoryOutsidePrefix(
        f"The repository {repository[:300]!r} is not one of this instance under {effective}/, "
        "so it was left alone.",
        hint="Only repositories under RI_REPOSITORY_PREFIX and RI_REPOSITORY_SEGMENT belong to the "
        "Managed Image Registry of this instance.",
    )


def is_own(rest: str) -> bool:
    """Whether what follows an instance's prefix is a name of that instance, not of a segment below."""
    first, slash, last = rest.partition("/")
    return not slash or (first in RESERVED and "/" not in last)


def image_repository(prefix: str, image_name: str) -> str:
    """The repository of a managed image: `<prefix>/<name>`."""
    return guard(prefix, f"{normalize_prefix(prefix)}/{image_name}")


def base_repository(prefix: str, image_type: str, python_version: str) -> str:
    """The repository of a kind of base image; two slashes deep, so no managed image's name meets it."""
    return guard(prefix, f"{normalize_prefix(prefix)}/{BASE}/{image_type}-{python_version}")


def mark_repository(prefix: str) -> str:
    """The repository that holds the mark of the instance that owns the others."""
    return guard(prefix, f"{normalize_prefix(prefix)}/{INSTANCE}/mark")
