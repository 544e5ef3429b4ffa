"""Rows of wheels built from source: looked up by what they were made of, and recorded."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from django.conf import settings

from images.attestations import BUILDER
from images.building.containers.wheel_builds import PreparedSource
from images.building.locks.files import LockedSource
from images.models import Build, BuiltWheel


def find_by_source(source_key: str, sha256s: Collection[str]) -> BuiltWheel | None:
    """The newest of these wheels that was made of the same source in the same place."""
    same = BuiltWheel.objects.filter(source_key=source_key, sha256__in=list(sha256s))
    return same.order_by("-pk").first()


def find_by_inputs(key: str) -> BuiltWheel | None:
    """The newest wheel made of exactly the same inputs."""
    return BuiltWheel.objects.filter(key=key).order_by("-pk").first()


def asked_before(hook_key: str) -> list[str] | None:
    """The build requirements that a source's hook named when it last ran in the same environment."""
    found = BuiltWheel.objects.filter(hook_key=hook_key).order_by("-pk").first()
    return None if found is None else list(found.asked)


def record(
    wheel: Path,
    sha256: str,
    source: LockedSource,
    prepared: PreparedSource,
    source_key: str,
    build: Build | None,
) -> BuiltWheel:
    """The row of a wheel that was just built, with its source and the build that made it."""
    made, _ = BuiltWheel.objects.get_or_create(
        key=prepared.key,
        sha256=sha256,
        defaults={
            "filename": wheel.name,
            "size_bytes": wheel.stat().st_size,
            "source_filename": source.filename,
            "source_sha256": source.sha256,
            "source_url": source.url,
            "source_key": source_key,
            "hook_key": prepared.hook_key,
            "asked": list(prepared.asked),
            "build_requirements": [
                [item.name, item.version, item.sha256] for item in prepared.environment
            ],
            "image_name": build.image.name if build else "",
            "build_number": build.number if build else None,
            "builder": f"{BUILDER}@{settings.VERSION}",
        },
    )
    return made
