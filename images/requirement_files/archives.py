"""Requirement files in a zip of a model's folder, read within limits of size and number."""

from __future__ import annotations

import io
import posixpath
import zipfile

from images.requirement_files.limits import MAX_FILES
from images.requirement_files.values import SuppliedFile

MAX_ENTRIES = 10_000
MAX_ARCHIVE_BYTES = 64 * 2**20
# Of all that is unpacked together.
MAX_UNPACKED = 16 * 2**20
READABLE = frozenset(
    {
        "requirements.txt", "constraints.txt", "conda.yaml", "environment.yml", "environment.yaml",
        "python_env.yaml", "pyproject.toml", "pylock.toml", "uv.lock", "poetry.lock", "pdm.lock",
        "Pipfile.lock", "setup.cfg",
    }
)  # fmt: skip


def files_of_zip(archive: bytes) -> list[SuppliedFile]:
    """The readable files that lie nearest to a zip's top. Raises `ValueError` with a sentence."""
    if len(archive) > MAX_ARCHIVE_BYTES:
        raise ValueError("The zip is larger than 64 MiB; give the model's requirements.txt alone.")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return read_entries(opened)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ValueError("The zip cannot be read; make it again, without a password.") from error
    except UnicodeDecodeError as error:
        raise ValueError("A file in the zip is not UTF-8; save it as UTF-8.") from error


def read_entries(opened: zipfile.ZipFile) -> list[SuppliedFile]:
    entries = opened.infolist()
    if len(entries) > MAX_ENTRIES:
        raise ValueError(
            f"The zip has more than {MAX_ENTRIES:,} files; give the model's folder alone."
        )
    wanted = [entry for entry in entries if posixpath.basename(entry.filename) in READABLE]
    if not wanted:
        raise ValueError("The zip has no requirements.txt, conda.yaml or lock; give one of them.")
    top = min(entry.filename.count("/") for entry in wanted)
    nearest = [entry for entry in wanted if entry.filename.count("/") == top][:MAX_FILES]
    found, left = [], MAX_UNPACKED
    for entry in nearest:
        # The table of a zip may lie about sizes, so what is read counts.
        with opened.open(entry) as content:
            raw = content.read(left + 1)
        left -= len(raw)
        if left < 0:
            raise ValueError(
                "The zip unpacks to too much; give the model's requirements.txt alone."
            )
        found.append(SuppliedFile(posixpath.basename(entry.filename), raw.decode("utf-8-sig")))
    return found
