"""Requirements of the files that are given for an image, read for the image's Python version."""

from __future__ import annotations

from dataclasses import dataclass

from images.models import Build, ManagedImage
from images.queries.base_images import newest_python
from images.requirement_files import Reading, Refused, Supplied, is_lock
from images.requirement_files.configured import (
    indexes_of,
    pip_requirements_of,
    read_supplied,
    refusals,
)
from images.requirements import MAX_TOLD, PipRequirement


def locked_by(image: ManagedImage | Build) -> str:
    """The file that locks all libraries; `""` if none does, or no file was given."""
    kept = image.requirement_files
    if kept is None or not image.spec.is_locked:
        return ""
    names = kept.supplied.names
    return next((file.name for file in kept.supplied.files if is_lock(file)), names[0])


def chosen_beside_files(image: ManagedImage) -> tuple[tuple[str, ...], bool]:
    """The indexes, and whether pre-releases are allowed, as far as its files do not say it themselves."""
    spec, kept = image.spec, image.requirement_files
    if kept is None:
        return spec.indexes, spec.allow_prereleases
    reading = read_supplied(kept.supplied, spec.python_version)
    return (
        tuple(name for name in spec.indexes if name not in indexes_of(reading)),
        spec.allow_prereleases and not reading.prereleases,
    )


@dataclass(frozen=True)
class FilesRead:
    """What became of files, and the Python that they were read for."""

    python_version: str
    reading: Reading

    def __str__(self) -> str:
        """What was read, in one sentence."""
        count = len(self.reading.requirements)
        said = (
            f"{count} {'library' if count == 1 else 'libraries'} for Python {self.python_version}"
        )
        said += ", as the files say" if self.python_is_named else ""
        said += f", locked by {self.reading.locked}" if self.reading.locked else ""
        said += f"; {len(self.reading.left_out)} left out" if self.reading.left_out else ""
        said += f"; {self.refused_count} refused" if self.refused_count else ""
        return f"{said}."

    def requirements(self, *, field: str = "files") -> tuple[PipRequirement, ...]:
        """The libraries. Raises `RequirementErrors` naming every line that cannot be taken."""
        return tuple(pip_requirements_of(self.reading, field=field))

    @property
    def indexes(self) -> tuple[str, ...]:
        """The indexes beside the default one that the files' options name."""
        return indexes_of(self.reading)

    @property
    def allow_prereleases(self) -> bool:
        """Whether the files' options take pre-releases."""
        return self.reading.prereleases

    @property
    def options(self) -> list[str]:
        """What the files' options say about all libraries, in sentences."""
        said = [f"Any library may also come from {name}." for name in self.indexes]
        return [*said, *(["Pre-releases are allowed."] if self.allow_prereleases else [])]

    @property
    def refused(self) -> list[Refused]:
        """The first ten lines that cannot be taken."""
        return refusals(self.reading)[:MAX_TOLD]

    @property
    def refused_count(self) -> int:
        return len(refusals(self.reading))

    @property
    def refused_more(self) -> int:
        return max(0, self.refused_count - MAX_TOLD)

    @property
    def python_is_named(self) -> bool:
        """Whether the files say that it is this one."""
        return self.reading.python_version == self.python_version


def read_for_image(supplied: Supplied, image_type: str, python_version: str = "") -> FilesRead:
    """Read files for an image of this type and Python.

    Without a Python it is the one that the files name, else the newest. Raises `Invalid`.
    """
    if not python_version:
        python_version = read_supplied(supplied).python_version or newest_python(image_type)
    return FilesRead(python_version, read_supplied(supplied, python_version))
