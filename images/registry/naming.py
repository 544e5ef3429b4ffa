"""Repository names, and the guard that every call to the registry passes through.

The rules are Amazon ECR's for `repositoryName` (API reference, CreateRepository): 2 to 256 characters,
path components of lower-case letters and digits with single separators between them.
"""

from __future__ import annotations

import re

from django.conf import settings

from images.errors import RepositoryOutsidePrefix

DEFAULT_PREFIX = "rime-managed-images"
MAX_LENGTH = 256

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


def effective_prefix() -> str:
    """The repository prefix in use, never empty."""
    return normalize_prefix(settings.REPOSITORY_PREFIX)


def guard(prefix: str, repository: str) -> str:
    """`repository` unchanged, if it is a valid name that starts with `<prefix>/`.

    Raises `RepositoryOutsidePrefix`; nothing has been sent then.
    """
    effective = normalize_prefix(prefix)
    if (
        len(repository) <= MAX_LENGTH
        and _REPOSITORY.fullmatch(repository)
        and repository.startswith(f"{effective}/")
    ):
        return repository
    raise RepositoryOutsidePrefix(
        f"The repository {repository[:300]!r} is not under {effective}/, so it was left alone.",
        hint="Only repositories under RI_REPOSITORY_PREFIX belong to the Managed Image Registry.",
    )


def image_repository(prefix: str, image_name: str) -> str:
    """The repository of a managed image: `<prefix>/<name>`."""
    return guard(prefix, f"{normalize_prefix(prefix)}/{image_name}")


def base_repository(prefix: str, image_type: str, python_version: str) -> str:
    """The repository of a kind of base image; two slashes deep, so no managed image's name meets it."""
    return guard(prefix, f"{normalize_prefix(prefix)}/base/{image_type}-{python_version}")
