"""The wheel of the SDK, built from sdk/, so that an instance serves the client version that fits it.

Each process builds it once, in memory and without a network: a pure Python wheel is a zip archive of the
package and four metadata files (PEP 427). The same sources give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe
from packaging.metadata import Metadata, RawMetadata

from ri_platform.errors import NotFound
from ri_platform.paths import RESOURCES

# Zip archives have no time before 1980, and pip sets the time of the installation anyway.
LONG_AGO = (1980, 1, 1, 0, 0, 0)
WHEEL = "Wheel-Version: 1.0\nGenerator: ri-platform\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True)
class Wheel:
    """`name` is the file's, `sha256` in hexadecimal."""

    name: str
    content: bytes
    sha256: str


@cache
def sdk_wheel() -> Wheel:
    """The SDK's wheel, of this platform's version."""
    folder = RESOURCES / "sdk"
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    stem = f"{project['name'].replace('-', '_')}-{settings.VERSION}"
    files = dict(package_files(folder))
    info = f"{stem}.dist-info"
    files |= {f"{info}/{name}": text for name, text in about(folder, project)}
    files[f"{info}/RECORD"] = record(files, f"{info}/RECORD").encode()
    content = zip_files(files)
    return Wheel(f"{stem}-py3-none-any.whl", content, hashlib.sha256(content).hexdigest())


def package_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((folder / "ri_platform_sdk").rglob("*")):
        if path.suffix == ".py" or path.name == "py.typed":
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def about(folder: Path, project: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The metadata files of the wheel: core metadata, commands, licence."""
    licences = project.get("license-files", [])
    raw: RawMetadata = {
        "metadata_version": "2.4",
        "name": project["name"],
        "version": settings.VERSION,
        "summary": project["description"],
        "description": (folder / project["readme"]).read_text("utf-8"),
        "description_content_type": "text/markdown",
        "keywords": project.get("keywords", []),
        "classifiers": project.get("classifiers", []),
        "requires_python": project["requires-python"],
        "requires_dist": project["dependencies"],
        "license_files": licences,
    }
    if "license" in project:
        raw["license_expression"] = project["license"]
    yield "METADATA", bytes(Metadata.from_raw(raw).as_rfc822())
    yield "WHEEL", WHEEL.encode()
    commands = "".join(f"{name} = {target}\n" for name, target in project["scripts"].items())
    yield "entry_points.txt", f"[console_scripts]\n{commands}".encode()
    for name in licences:
        yield f"licenses/{name}", (folder / name).read_bytes()


def record(files: dict[str, bytes], own_name: str) -> str:
    """RECORD: each file with its digest and length, except RECORD itself."""
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    return "".join(lines) + f"{own_name},,\n"


def zip_files(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # a regular file of Unix
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    return archive.getvalue()


def etag_of(request: HttpRequest, file_name: str) -> str | None:
    found = sdk_wheel()
    return f'"{found.sha256}"' if file_name == found.name else None


@require_safe
@condition(etag_func=etag_of)
def serve_sdk(request: HttpRequest, file_name: str) -> HttpResponse:
    """The wheel, for anybody: pip has no session, and there is nothing secret in it."""
    found = sdk_wheel()
    if file_name != found.name:
        raise NotFound(
            f"There is no {file_name[:100]} here; this instance serves {found.name}.",
            hint=f"Install it with: pip install {request.build_absolute_uri(found.name)}",
        )
    response = HttpResponse(found.content, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{found.name}"'
    # Revalidated, since a wheel of the same name may change in a checkout; this costs a 304.
    response["Cache-Control"] = "public, no-cache"
    return response
