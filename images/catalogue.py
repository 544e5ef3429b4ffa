"""The catalogue of base images, `catalogue.toml` beside this module, read and checked once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from images.models import ImageType, PythonVersion
from images.models.base_source import CATALOGUE, Source
from images.requirement_files.configured import parse_pip_requirements
from images.requirements import PipRequirement
from ri_platform.errors import Invalid

FILE = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True)
class UseCase:
    """A use case: the libraries that its base image adds to the root."""

    name: str
    about: str
    requirements: tuple[PipRequirement, ...]


@dataclass(frozen=True)
class Catalogue:
    roots: dict[str, Source]
    use_cases: dict[str, UseCase]

    def source(self, image_type: str, python_version: str) -> str:
        """The source of this base image. Raises `Invalid` for what the catalogue does not have."""
        root = self.roots.get(python_version)
        if image_type not in self.use_cases or root is None:
            raise Invalid(
                f"The catalogue has no base image {image_type} for Python {python_version}.",
                hint=f"Use cases: {', '.join(self.use_cases)}; Python: {', '.join(self.roots)}.",
            )
        return str(root if image_type == ImageType.ALL else Source(CATALOGUE, image_type))


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return Catalogue(
        roots={
            PythonVersion(version).value: Source.parse(source)
            for version, source in data["roots"].items()
        },
        use_cases={
            ImageType(name).value: UseCase(
                name,
                entry["about"],
                tuple(parse_pip_requirements("\n".join(entry["requirements"]))),
            )
            for name, entry in data["use_cases"].items()
        },
    )
