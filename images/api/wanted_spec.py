"""Conversion of a request to an image's spec, with the files that the spec was read from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic.alias_generators import to_camel

from images.api import spec_schemas
from images.api.file_schemas import FilesIn, supplied_files, typed_files
from images.api.match_schemas import MatchIn
from images.models import ManagedImage
from images.queries.base_images import newest_python
from images.queries.file_requirements import chosen_beside_files, read_for_image
from images.requirement_files import Supplied
from images.requirement_files.configured import pip_requirements_of, read_supplied
from images.requirements import PipRequirement, os_packages, pip_requirements
from images.run_time.checks import checked_run_time
from images.run_time.settings import NO_SETTINGS, RunTime
from images.spec import ImageSpec
from ri_platform.errors import Invalid

Wanted = tuple[ImageSpec, Supplied | None]


def wanted_spec(wanted: spec_schemas.CreateImageIn) -> Wanted:
    """The spec of a new image. Raises `Invalid`."""
    libraries = pip_requirements(spec_schemas.named_items(wanted.pip_requirements))
    packages = os_packages(spec_schemas.named_items(wanted.package_requirements))
    supplied = wanted_files(wanted, libraries)
    spec = ImageSpec(
        image_type=wanted.image_type,
        python_version=wanted.python_version,
        pip_requirements=libraries,
        os_packages=packages,
        allow_source=wanted.allow_source,
        indexes=tuple(dict.fromkeys(wanted.indexes)),
        allow_prereleases=wanted.allow_prereleases,
        run_time=wanted_run_time(NO_SETTINGS, wanted.run_time),
    )
    spec = with_files(spec, supplied)
    refuse_empty(spec)
    return spec, supplied


def spec_to_match(wanted: MatchIn) -> ImageSpec:
    """The spec that a search matches; an empty type or Python matches any. Raises `Invalid`."""
    libraries = pip_requirements(spec_schemas.named_items(wanted.pip_requirements))
    python = wanted.python_version
    if supplied := wanted_files(wanted, libraries):
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


def wanted_files(wanted: FilesIn, named: tuple[PipRequirement, ...]) -> Supplied | None:
    """The request's files, with the libraries named one by one as a file; None if there are no files."""
    if not (wanted.files or wanted.groups or wanted.extras):
        return None
    files = (*typed_files(named), *supplied_files(wanted.files))
    return Supplied(files, tuple(wanted.groups), tuple(wanted.extras))


def altered_spec(image: ManagedImage, wanted: spec_schemas.AlterImageIn) -> Wanted:
    """The image's spec with the fields that the request gives. Raises `Invalid`."""
    if not wanted.model_fields_set:
        raise Invalid("The request names nothing to alter.")
    spec = with_given(image.spec, wanted)
    supplied = altered_files(image, wanted)
    # The present files say something else for another Python, whose markers may hold.
    if supplied != present_files(image) or spec.python_version != image.spec.python_version:
        if wanted.files is not None:
            spec = without_present_files(spec, image, wanted)
        spec = with_files(spec, supplied)
    refuse_empty(spec)
    return spec, supplied


def with_given(spec: ImageSpec, wanted: spec_schemas.AlterImageIn) -> ImageSpec:
    """The spec with the fields that are given, of which files know nothing yet."""
    given: dict[str, Any] = {
        "image_type": wanted.image_type or None,
        "python_version": wanted.python_version or None,
        "allow_source": wanted.allow_source,
        "allow_prereleases": wanted.allow_prereleases,
        "run_time": wanted_run_time(spec.run_time, wanted.run_time),
    }
    if wanted.indexes is not None:
        given["indexes"] = tuple(dict.fromkeys(wanted.indexes))
    if wanted.pip_requirements is not None:
        given["pip_requirements"] = pip_requirements(
            spec_schemas.named_items(wanted.pip_requirements)
        )
    if wanted.package_requirements is not None:
        given["os_packages"] = os_packages(spec_schemas.named_items(wanted.package_requirements))
    return replace(spec, **{name: value for name, value in given.items() if value is not None})


def without_present_files(
    spec: ImageSpec, image: ManagedImage, wanted: spec_schemas.AlterImageIn
) -> ImageSpec:
    """The spec without what only the present files say, which others replace."""
    indexes, allow_prereleases = chosen_beside_files(image)
    return replace(
        spec,
        pip_requirements=spec.pip_requirements if wanted.pip_requirements is not None else (),
        indexes=spec.indexes if wanted.indexes is not None else indexes,
        allow_prereleases=spec.allow_prereleases
        if wanted.allow_prereleases is not None
        else allow_prereleases,
    )


def wanted_run_time(present: RunTime, wanted: spec_schemas.RunTimeIn | None) -> RunTime:
    """The present settings with those that the request gives. Raises `Invalid`."""
    if wanted is None:
        return present
    given = {name: value for name, value in wanted.model_dump().items() if value is not None}
    try:
        return checked_run_time(**{**present.everything(), **given})
    except Invalid as error:
        field = f"runTime.{to_camel(error.field)}"
        raise Invalid(error.message, hint=error.hint, field=field) from error


def altered_files(image: ManagedImage, wanted: spec_schemas.AlterImageIn) -> Supplied | None:
    """The files to read the libraries from; None if the request names them one by one."""
    present = present_files(image) or Supplied(())
    if wanted.files is not None:
        typed = typed_files(
            pip_requirements(spec_schemas.named_items(wanted.pip_requirements or []))
        )
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


def with_files(spec: ImageSpec, supplied: Supplied | None) -> ImageSpec:
    """The spec with what files say; without files, the libraries of the spec are all.

    Its Python is that of the files if it names none itself, else the newest.
    """
    if supplied is None:
        return replace(spec, python_version=spec.python_version or newest_python(spec.image_type))
    found = read_for_image(supplied, spec.image_type, spec.python_version)
    # No file says of a library that is named beside it from which index that comes.
    index_of = {item.normalized_name: item.index for item in spec.pip_requirements}
    libraries = tuple(
        replace(item, index=item.index or index_of.get(item.normalized_name, ""))
        for item in found.requirements()
    )
    return replace(
        spec,
        python_version=found.python_version,
        pip_requirements=libraries,
        indexes=tuple(dict.fromkeys((*spec.indexes, *found.indexes))),
        allow_prereleases=spec.allow_prereleases or found.allow_prereleases,
    )


def refuse_empty(spec: ImageSpec) -> None:
    if not (spec.pip_requirements or spec.os_packages):
        raise Invalid("Name at least one library.", field="pipRequirements")
