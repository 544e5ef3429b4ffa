"""Paths of an environment that no library's wheel may have: the interpreter's, the environment's, other
libraries' records.

A wheel's layer lies above the environment's own (`images.building.layers.keys`), so a file of the same path
would take its place: another `python3`, another `pyvenv.cfg`, or another library's METADATA, by which lists
of what is installed are made.
"""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

from images.building.layers.wheel_archive import refuser, same_letters
from images.building.locks.files import is_version

# The interpreter's names in `bin`, and what a virtual environment is activated by (PEP 405, `venv`).
_PROGRAM = re.compile(
    r"python[0-9.]*[a-z]?(-config)?(\.exe)?|(de)?activate(_this)?(\.[a-z0-9]+)?",
)
_RECORDS = ("dist-info", "egg-info")


class ReservedPaths:
    """Those of the environment at `prefix`, for the wheel with the file name `wheel`."""

    def __init__(self, prefix: str, python_version: str, wheel: str) -> None:
        self._refuse = refuser(wheel)
        self._prefix = f"{prefix}/"
        self._libraries = f"lib/python{python_version}/site-packages/"
        self._own = canonicalize_name(wheel.partition("-")[0])

    def refuse(self, path: str) -> None:
        """Raise `WheelInvalid` if an absolute path is not the wheel's to write, in whatever case or form."""
        inside = same_letters(path).removeprefix(self._prefix)
        folder, _, rest = inside.partition("/")
        if inside == "pyvenv.cfg" or (folder == "bin" and _PROGRAM.fullmatch(rest)):
            self._refuse(f"wants to replace {path}, which is the Python environment's own")
        if inside.startswith(self._libraries):
            self._refuse_record(path, inside.removeprefix(self._libraries).partition("/")[0])

    def _refuse_record(self, path: str, name: str) -> None:
        if name == "_base_image.pth":
            self._refuse(f"wants to replace {path}, which is the Python environment's own")
        stem, _, kind = name.rpartition(".")
        if kind in _RECORDS and not self._is_own(stem, kind):
            self._refuse(f"wants to write {path}, which is another library's record")

    def _is_own(self, stem: str, kind: str) -> bool:
        """Whether a folder of records is the wheel's own. Before PEP 427 escaped them, names could hold
        dashes, and versions too (`sample-1.0-1`)."""
        library = stem.rpartition("-")[0] if kind == "dist-info" else stem.partition("-")[0]
        if canonicalize_name(library or stem) == self._own:
            return True
        dashes = (place for place, letter in enumerate(stem) if letter == "-")
        return any(
            canonicalize_name(stem[:dash]) == self._own and is_version(stem[dash + 1 :])
            for dash in dashes
        )
