"""The annotations of an image's manifest: functions of its build's row, so equal builds are equal images.

Source: OCI image-spec 1.1, annotations.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from images.lock_packages import packages_of
from images.manifest_bytes import CREATED
from images.models import BaseImage, Build
from images.references import base_reference, page_address

PREFIX = "org.opencontainers.image"


def annotations_of(build: Build) -> dict[str, str]:
    """Title, description, age, lock, source, vendor and base of a build that has its lock; none is empty.

    `version` is not among them: the number of the build would make every build another image.
    """
    found = {
        "title": build.image.name,
        "description": build.description,
        "created": newest_input(build.lock, build.base_image),
        "revision": f"sha256:{hashlib.sha256(build.lock.encode('utf-8')).hexdigest()}",
        "source": page_address(build.image),
        "vendor": settings.IMAGE_VENDOR,
    }
    named = {f"{PREFIX}.{name}": value for name, value in found.items() if value}
    return named | base_labels(build.base_image)


def base_labels(base: BaseImage) -> dict[str, str]:
    """The base by reference and digest, which stand in the configuration, too."""
    return {
        f"{PREFIX}.base.name": base_reference(base),
        f"{PREFIX}.base.digest": base.manifest_digest,
    }


def newest_input(lock: str, base: BaseImage) -> str:
    """When the newest input of an image was published, RFC 3339: a file of the lock, or the base.

    The moment of the build would make every build another image.
    """
    found = [moment for moment in (*upload_times(lock), created_of(base.config)) if moment]
    return max(found).strftime("%Y-%m-%dT%H:%M:%SZ") if found else CREATED


def upload_times(lock: str) -> Iterator[datetime | None]:
    """When the index got each file of a lock, as far as the lock says so (PEP 751, `upload-time`)."""
    for package in packages_of(lock):
        files = [*package.get("wheels", []), package.get("sdist", {}), package.get("archive", {})]
        for file in files:
            yield aware(file.get("upload-time"))


def created_of(config: dict[str, Any]) -> datetime | None:
    """The `created` of an image's configuration; None if it says none that can be read."""
    try:
        return aware(datetime.fromisoformat(str(config.get("created", ""))))
    except ValueError:
        return None


def aware(moment: object) -> datetime | None:
    """A moment of a file in UTC; None for what is no moment. Without a zone it is UTC (PEP 751)."""
    if not isinstance(moment, datetime):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
