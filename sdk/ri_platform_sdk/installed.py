"""The inventory of an interpreter: its Python and the distributions that are installed in it.

It needs the standard library alone, of Python 3.9 or newer, because other interpreters run this file.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

# Beside an .egg-info they make a folder a project's, where nothing is installed.
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")


def inventory() -> dict[str, Any]:
    """Python as `3.11`, and each distribution as its metadata tells of it (PEP 376, PEP 610)."""
    found: dict[str, dict[str, object]] = {}
    for item in metadata.distributions():
        name = item.metadata["Name"]
        if name:
            # The first on the path is the one that is imported.
            found.setdefault(
                re.sub(r"[-_.]+", "-", name).lower(), describe_distribution(name, item)
            )
    return {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "distributions": [found[key] for key in sorted(found)],
    }


def describe_distribution(name: str, item: metadata.Distribution) -> dict[str, object]:
    return {
        "name": name,
        "version": item.version or "",
        "requires": list(item.requires or ()),
        "installer": (item.read_text("INSTALLER") or "").strip(),
        "requested": item.read_text("REQUESTED") is not None,
        "directUrl": direct_url(item),
        "inProject": is_in_project(item),
    }


def direct_url(item: metadata.Distribution) -> object:
    try:
        return json.loads(item.read_text("direct_url.json") or "null")
    except ValueError:
        # Of no tool's writing; it is from somewhere else all the same.
        return {}


def is_in_project(item: metadata.Distribution) -> bool:
    """Whether it is a source folder on the path, as `setup.py develop` and a notebook beside it have it."""
    if item.read_text("RECORD") is not None:
        return False
    folder = Path(str(item.locate_file("")))
    return any(
        (parent / name).is_file() for parent in (folder, folder.parent) for name in _PROJECT_FILES
    )


if __name__ == "__main__":
    # The folder of this file, which Python puts first.
    del sys.path[0]
    print(json.dumps(inventory()))
