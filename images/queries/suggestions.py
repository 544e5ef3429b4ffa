"""Suggestions for text fields: images, revisions, libraries and their versions.

Distinct names among millions of rows are found by a loose index scan (so named in PostgreSQL's wiki): one
index look-up a name instead of a read of all rows of a common library.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from images.models import ManagedImage
from images.models.lease import WorkState
from images.queries.searching import end_of
from workspaces.models import User

SUGGESTED = 8
# Of one library; so many are in use at once, and the newest are suggested.
MAX_VERSIONS = 200

NAMES = """
WITH RECURSIVE found(value) AS (
    (SELECT normalized_name FROM images_installedlibrary
     WHERE current_of IS NOT NULL AND normalized_name >= %(from)s AND normalized_name <= %(to)s
     ORDER BY normalized_name LIMIT 1)
    UNION ALL
    SELECT (SELECT normalized_name FROM images_installedlibrary
            WHERE current_of IS NOT NULL AND normalized_name > found.value AND normalized_name <= %(to)s
            ORDER BY normalized_name LIMIT 1)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE starts_with(value, %(from)s) LIMIT %(limit)s
"""
VERSIONS = """
WITH RECURSIVE found(value, version) AS (
    (SELECT normalized_version, version FROM images_installedlibrary
     WHERE current_of IS NOT NULL AND normalized_name = %(name)s
     ORDER BY normalized_version LIMIT 1)
    UNION ALL
    SELECT other.normalized_version, other.version
    FROM found, LATERAL (
        SELECT normalized_version, version FROM images_installedlibrary
        WHERE current_of IS NOT NULL AND normalized_name = %(name)s AND normalized_version > found.value
        ORDER BY normalized_version LIMIT 1
    ) other
)
SELECT version FROM found LIMIT %(limit)s
"""


def libraries(text: str) -> list[str]:
    """Installed libraries whose names begin with `text`; after `==`, versions as `name==version`."""
    name, pinned, version = text.strip().partition("==")
    if not name or "\x00" in text:
        return []
    if pinned:
        return versions(canonicalize_name(name), version.strip())
    beginning = canonicalize_name(name)
    return rows(NAMES, {"from": beginning, "to": end_of(beginning), "limit": SUGGESTED})


def versions(name: str, beginning: str) -> list[str]:
    """`name==version` of the newest versions that are in any image and begin so."""
    found = rows(VERSIONS, {"name": name, "limit": MAX_VERSIONS})
    fitting = [version for version in found if version.startswith(beginning)]
    return [f"{name}=={version}" for version in sorted(fitting, key=newest_last)[::-1][:SUGGESTED]]


def newest_last(version: str) -> tuple[bool, Version]:
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, Version("0")


def rows(sql: str, values: Mapping[str, str | int]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [value for (value,) in cursor.fetchall()]


def images(user: User, text: str, most: int = SUGGESTED) -> list[str]:
    """Images with a good build whose names contain `text`; after a colon, revisions as `name:build-3`."""
    name, colon, tag = text.strip().partition(":")
    visible = ManagedImage.objects.visible_to(user).filter(current_build__isnull=False)
    if "\x00" in text:
        return []
    if colon:
        numbers = (
            visible.filter(name=name, builds__state=WorkState.SUCCEEDED)
            .order_by("-builds__number")
            .values_list("builds__number", flat=True)
        )
        found = [f"{name}:build-{number}" for number in numbers[:MAX_VERSIONS]]
        return [item for item in found if item.startswith(f"{name}:{tag}")][:SUGGESTED]
    names = visible.filter(name__contains=name.lower()).order_by("name")
    return list(names.values_list("name", flat=True)[:most])
