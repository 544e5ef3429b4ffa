"""Update conda's names for libraries: `python tools/conda_names.py conda_pypi-….whl`.

The wheel of conda-pypi (MIT) has grayskull's mapping. Of it only names that differ are kept, in the
`[libraries]` table of images/requirement_files/conda_names.toml; the tables beside it are kept by hand.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path

from packaging.utils import canonicalize_name

NAMES = Path(__file__).resolve().parents[1] / "images/requirement_files/conda_names.toml"
MAPPING = "conda_pypi/grayskull_pypi_mapping.json"
# Some entries are keyed by a hash of an old address.
_HASH = re.compile(r"[0-9a-f]{40,}")


def main(wheel: str) -> None:
    with zipfile.ZipFile(wheel) as opened:
        mapping = json.loads(opened.read(MAPPING))
    names: dict[str, str] = {}
    for entry in mapping.values():
        conda, library = entry["conda_name"].lower(), canonicalize_name(entry["pypi_name"])
        if canonicalize_name(conda) != library and not _HASH.fullmatch(library):
            # Several libraries of one package: the last named is the one to build images with, as for opencv.
            names[conda] = library
    kept = NAMES.read_text(encoding="utf-8").partition("[libraries]\n")[0]
    lines = [f'"{conda}" = "{library}"\n' for conda, library in sorted(names.items())]
    NAMES.write_text(kept + "[libraries]\n" + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
