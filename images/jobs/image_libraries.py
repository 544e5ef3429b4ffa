"""The libraries of an image as Python sees them, with the origin of each wheel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from packaging.utils import canonicalize_name

from images.attestations import BuiltHere, Library
from images.building.layers.notes import Note
from images.building.locks.files import Lock, LockedWheel
from images.building.locks.target import Target
from images.jobs.layer_plan import planned_layers
from images.models import BaseImage, Build, BuiltWheel, InstalledLibrary
from images.models.lease import WorkState


def image_libraries(
    lock: Lock, base: BaseImage, target: Target, notes: Iterable[Note] = ()
) -> list[Library]:
    """The base's libraries, and those of the lock, which hide them; with the notes on each of these."""
    told: dict[str, list[str]] = defaultdict(list)
    for note in notes:
        for name in note.libraries:
            told[name].append(note.text)
    seen = {canonicalize_name(name): Library(name, version) for name, version in base.libraries}
    ours = {wheel.sha256 for item in planned_layers(lock, base, target) for wheel in item.wheels}
    built = built_wheels(wheel for wheel in lock.wheels if wheel.sha256 in ours)
    for wheel in lock.wheels:
        sha256 = wheel.sha256 if wheel.sha256 in ours else ""
        seen[canonicalize_name(wheel.name)] = Library(
            wheel.name,
            wheel.version,
            sha256,
            built.get(sha256),
            tuple(told[wheel.name]),
        )
    return [seen[name] for name in sorted(seen)]


def built_wheels(wheels: Iterable[LockedWheel]) -> dict[str, BuiltHere]:
    """sha256 → the record of each of these wheels that this instance built.

    Where several builds gave the same bytes, it is the first one's.
    """
    sources = {wheel.sha256: wheel.built_of.sha256 for wheel in wheels if wheel.built_of}
    if not sources:
        return {}
    rows = BuiltWheel.objects.filter(sha256__in=sources).order_by("-pk")
    return {
        row.sha256: BuiltHere.of(row) for row in rows if row.source_sha256 == sources[row.sha256]
    }


def wheels_before(build: Build) -> set[str]:
    """The sha256 of each wheel in this image's earlier builds of the same lock.

    A build from source takes these again, so that a roll-back gives the same image: what a source is built
    with moves on by itself, and its wheel would have other bytes.
    """
    earlier = build.image.builds.filter(state=WorkState.SUCCEEDED, lock=build.lock, renewal="")
    found = InstalledLibrary.objects.filter(build__in=earlier).exclude(sha256="")
    return set(found.values_list("sha256", flat=True))
