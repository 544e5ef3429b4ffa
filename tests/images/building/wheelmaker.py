"""Wheels made by the tests themselves, honest and otherwise."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(
    folder: Path,
    name: str = "sample",
    version: str = "1.0",
    files: dict[str, bytes] | None = None,
    *,
    unrecorded: dict[str, bytes] | None = None,
    broken_record: bool = False,
    metadata: bytes | None = None,
) -> Path:
    """A wheel with `files`; `unrecorded` members stand in the archive but not in RECORD."""
    info = f"{name}-{version}.dist-info"
    members = {
        **(files if files is not None else {f"{name}/__init__.py": b"VALUE = 1\n"}),
        f"{info}/METADATA": metadata
        or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": WHEEL.encode(),
    }
    rows = [
        f"{path},sha256={hashed(b'other' if broken_record else data)},{len(data)}"
        for path, data in members.items()
    ]
    members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in {**members, **(unrecorded or {})}.items():
            archive.writestr(
                zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED
            )
    return path


def hashed(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
