"""A base image out of an OCI image layout (image-spec, image-layout.md)."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

from images.building.bases.compression import PIECE, open_plain
from images.building.bases.content import ImageContent, blobs_of, content_of, verify_file
from images.building.bases.from_registry import platform_manifest
from images.errors import BaseImageUnusable, DigestMismatch
from images.registry.distribution.client import MAX_MANIFEST
from images.registry.distribution.descriptors import (
    INDEXES,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
    hex_of,
)

_LAYOUT_FILE = re.compile(r"oci-layout|index\.json|blobs/sha256/[0-9a-f]{64}")


def unpack_layout(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack a layout's own files and nothing else, so that no member can point elsewhere."""
    (folder / "blobs" / "sha256").mkdir(parents=True)
    for member in tar:
        name = member.name.removeprefix("./")
        if member.isreg() and _LAYOUT_FILE.fullmatch(name):
            content = tar.extractfile(member)
            assert content is not None
            with content, (folder / name).open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def from_oci_layout(path: Path, *, work: Path) -> ImageContent:
    """An image of an OCI layout (image-spec, image-layout.md), a folder or a tar of one."""
    if path.is_file():
        folder = work / "layout"
        try:
            with (
                open_plain(path) as plain,
                tarfile.open(fileobj=plain, mode="r|", bufsize=PIECE) as tar,
            ):
                unpack_layout(tar, folder)
        except tarfile.TarError as error:
            raise BaseImageUnusable(
                f"{path.name} cannot be unpacked: {error}.",
                hint="An OCI image layout is a folder, or a tar of one; is it complete?",
            ) from error
        path = folder
    if not (path / "oci-layout").is_file():
        raise BaseImageUnusable(f"{path.name} is not an OCI image layout.")

    def blob(digest: str) -> Path:
        return path / "blobs" / "sha256" / hex_of(digest)

    def manifest_at(digest: str, media_type: str) -> Manifest:
        file = blob(digest)
        if not file.is_file() or file.stat().st_size > MAX_MANIFEST:
            raise BaseImageUnusable(f"The layout's manifest {digest} is missing, or too large.")
        raw = file.read_bytes()
        if digest_of(raw) != digest:
            raise DigestMismatch(f"The layout's blob {digest} has other content.")
        return Manifest(raw, media_type, digest)

    index = Manifest((path / "index.json").read_bytes(), OCI_INDEX, "index.json").json()
    manifests = index.get("manifests")
    if not isinstance(manifests, list) or not manifests:
        raise BaseImageUnusable(f"The layout {path.name} holds no image.")
    first = Descriptor.from_json(manifests[0])
    manifest = manifest_at(first.digest, first.media_type or OCI_MANIFEST)
    if manifest.media_type in INDEXES:
        manifest = manifest_at(platform_manifest(manifest.json(), path.name), OCI_MANIFEST)
    descriptors = blobs_of(manifest)
    for descriptor in descriptors:
        verify_file(blob(descriptor.digest), descriptor)
    return content_of(manifest, {d.digest: blob(d.digest) for d in descriptors})
