"""What a request wants an image to contain: a spec, and the files that it was read from."""

from __future__ import annotations

from dataclasses import replace

from images.api import spec_schemas
from images.api.file_schemas import FilesIn, as_typed, supplied_files
from images.api.match_schemas import MatchIn
from images.models import ManagedImage
from images.queries.base_images import newest_python
from images.queries.file_requirements import read_for_image
from images.requirement_files import Supplied
from images.requirement_files.configured import pip_requirements_of, read_supplied
from images.requirements import PipRequirement, os_packages, pip_requirements
from images.spec import ImageSpec
from ri_platform.errors import Invalid

Wanted = tuple[ImageSpec, Supplied | None]


def wanted_spec(wanted: spec_schemas.CreateImageIn) -> Wanted:
    """Of a new image. Raises `Invalid`."""
    libraries = pip_requirements(spec_schemas.named_items(wanted.pip_requirements))
    packages = os_packages(spec_schemas.named_items(wanted.package_requirements))
    supplied = supplied_of(wanted, libraries)
    python, libraries, indexes = read_libraries(
        supplied, libraries, wanted.image_type, wanted.python_version
    )
    refuse_empty(libraries or packages)
    spec = ImageSpec(
        image_type=wanted.image_type,
        python_version=python,
        pip_requirements=libraries,
        os_packages=packages,
        allow_source=wanted.allow_source,
        indexes=tuple(dict.fromkeys((*wanted.indexes, *indexes))),
    )
    return spec, supplied


def spec_to_match(wanted: MatchIn) -> ImageSpec:
    """Of images that are looked for; an empty type or Python means any. Raises `Invalid`."""
    libraries = pip_requirements(spec_schemas.named_items(wanted.pip_requirements))
    python = wanted.python_version
    if supplied := supplied_of(wanted, libraries):
        reading = read_supplied(supplied, python)
        python = python or reading.python_version or ""
        libraries = tuple(pip_requirements_of(reading))
    if not libraries:
        raise Invalid("Name at least one library.", field="pipRequirements")
    return ImageSpec(
        image_type=wanted.image_type or "",
        python_version=python,
        pip_requirements=libraries,
        os_packages=os_packages(spec_schemas.named_items(wanted.package_requirements)),
    )


def supplied_of(wanted: FilesIn, named: tuple[PipRequirement, ...]) -> Supplied | None:
    """The files, with the libraries that are named one by one; None if there are none."""
    if not (wanted.files or wanted.groups or wanted.extras):
        return None
    files = (*as_typed(named), *supplied_files(wanted.files))
    return Supplied(files, tuple(wanted.groups), tuple(wanted.extras))


def altered_spec(image: ManagedImage, wanted: spec_schemas.AlterImageIn) -> Wanted:
    """Of an image: what is given, and else what it was asked for. Raises `Invalid`."""
    if not wanted.model_fields_set:
        raise Invalid("Nothing was said that would be altered.")
    spec = image.spec
    libraries, packages = spec.pip_requirements, spec.os_packages
    if wanted.pip_requirements is not None:
        libraries = pip_requirements(spec_schemas.named_items(wanted.pip_requirements))
    if wanted.package_requirements is not None:
        packages = os_packages(spec_schemas.named_items(wanted.package_requirements))
    image_type = wanted.image_type or spec.image_type
    python = wanted.python_version or spec.python_version
    supplied = altered_files(image, wanted)
    # The present files say something else for another Python, whose markers may hold.
    indexes: tuple[str, ...] = ()
    if supplied != present_files(image) or python != spec.python_version:
        named = libraries if wanted.pip_requirements is not None or wanted.files is None else ()
        python, libraries, indexes = read_libraries(supplied, named, image_type, python)
    chosen = spec.indexes if wanted.indexes is None else tuple(wanted.indexes)
    refuse_empty(libraries or packages)
    altered_spec = ImageSpec(
        image_type=image_type,
        python_version=python,
        pip_requirements=libraries,
        os_packages=packages,
        allow_source=spec.allow_source if wanted.allow_source is None else wanted.allow_source,
        indexes=tuple(dict.fromkeys((*chosen, *indexes))),
    )
    return altered_spec, supplied


def altered_files(image: ManagedImage, wanted: spec_schemas.AlterImageIn) -> Supplied | None:
    """The files that the libraries are to be read from; None if they are named one by one."""
    present = present_files(image) or Supplied(())
    if wanted.files is not None:
        typed = as_typed(pip_requirements(spec_schemas.named_items(wanted.pip_requirements or [])))
        files = (*typed, *supplied_files(wanted.files))
    else:
        files = () if wanted.pip_requirements is not None else present.files
    groups = present.groups if wanted.groups is None else tuple(wanted.groups)
    extras = present.extras if wanted.extras is None else tuple(wanted.extras)
    if not files:
        groups, extras = tuple(wanted.groups or ()), tuple(wanted.extras or ())
    return Supplied(files, groups, extras) if files or groups or extras else None


def present_files(image: ManagedImage) -> Supplied | None:
    found = image.requirement_files
    return found.supplied if found else None


def read_libraries(
    supplied: Supplied | None,
    named: tuple[PipRequirement, ...],
    image_type: str,
    python_version: str,
) -> tuple[str, tuple[PipRequirement, ...], tuple[str, ...]]:
    """The image's Python, libraries and indexes: those of the files, or without files what is named."""
    if supplied is None:
        return python_version or newest_python(image_type), named, ()
    found = read_for_image(supplied, image_type, python_version)
    # No file says of a library that is named beside it from which index that comes.
    index_of = {item.normalized_name: item.index for item in named}
    libraries = [
        replace(item, index=item.index or index_of.get(item.normalized_name, ""))
        for item in found.requirements()
    ]
    return found.python_version, tuple(libraries), found.indexes


def refuse_empty(libraries_or_packages: object) -> None:
    if not libraries_or_packages:
        raise Invalid("Name at least one library.", field="pipRequirements")
