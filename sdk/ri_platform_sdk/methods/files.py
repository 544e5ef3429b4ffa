"""Requirement files: read them without a build, and create an image of the running environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ri_platform_sdk import calls
from ri_platform_sdk.environment import Selection, Snapshot, read_environment, spec_of_environment
from ri_platform_sdk.files import Files
from ri_platform_sdk.methods.sender import Sender
from ri_platform_sdk.readings import Reading


class FileMethods(Sender):
    def read_requirements(
        self,
        files: Files,
        python_version: str | None = None,
        *,
        groups: Iterable[str] = (),
        extras: Iterable[str] = (),
    ) -> Reading:
        """Read the requirements of files, with the result for each line; nothing is stored or built.

        Markers are decided for `python_version`, or for the Python that the files name.

        Example:
            >>> file = RequirementFile("requirements.txt", "numpy>=2\\npywin32; sys_platform == 'win32'\\n")
            >>> reading = client.read_requirements([file], "3.11")
            >>> [str(found) for found in reading.requirements]
            ['numpy>=2']
            >>> reading.left_out[0].line
            2
        """
        return self.send(calls.read_requirements(files, python_version, groups, extras))

    def create_from_environment(
        self,
        name: str,
        selection: Selection = "top-level",
        *,
        without: Iterable[str] = (),
        strict: bool = False,
        python_version: str | None = None,
        package_requirements: Iterable[Any] | None = None,
        image_type: str | None = None,
        indexes: Iterable[str] | None = None,
        allow_source: bool = False,
        allow_prereleases: bool = False,
        tell: bool = True,
    ) -> Snapshot:
        """Have an image built of what is installed in this interpreter or notebook, for its Python.

        `selection`, `without` and `strict` are those of `read_environment`, which shows the same without
        building it. What is left out is told on the standard error before, unless `tell` is off, and in the
        answer. The rest is as for `create_managed_image`.

        Raises `InvalidRequest` if nothing can be taken, or with `strict`, if something would be left out.
        """
        environment = read_environment(selection, without=without, strict=strict)
        if tell:
            environment.tell()
        spec = spec_of_environment(
            environment, python_version, package_requirements, image_type, allow_source, indexes,
            allow_prereleases,
        )  # fmt: skip
        return Snapshot(self.send(calls.create(name, spec)), environment)
