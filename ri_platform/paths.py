"""Paths of the files that belong to the code: beside the packages in a checkout, inside one in a wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
BASE_DIR = PACKAGE.parent
# pyproject.toml puts the folders of RESOURCES here when it makes a wheel.
_IN_WHEEL = PACKAGE / "resources"
INSTALLED = _IN_WHEEL.is_dir()
# The folder of `templates`, `static`, `sdk` and `terraform/policies`.
RESOURCES = _IN_WHEEL if INSTALLED else BASE_DIR
# The base of a relative state folder: an installed package has no folder that it may write to.
HOME = Path.cwd() if INSTALLED else BASE_DIR
