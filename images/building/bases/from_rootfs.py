"""A base image of a root file system in a tar archive."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from images.building.bases.content import ARCHITECTURE, SYSTEM, ImageContent, content_of
from images.building.bases.inspection import DEFAULT_PATH
from images.building.layers.tar import GZIP_LEVEL, PIECE, Hashing, Layer, gzip_stream
from images.building.push import manifests as assemble
from images.errors import BaseImageUnusable
from images.registry.distribution.descriptors import OCI_MANIFEST, Manifest, digest_of


def from_rootfs_tar(path: Path, *, work: Path) -> ImageContent:
    """A one-layer image of a root file system, a tar that may be compressed as Python can read."""
    layer = compress_rootfs(path, work / "rootfs.tar.gz")
    return one_layer_image(layer, work)


def compress_rootfs(path: Path, destination: Path) -> Layer:
    """The tar, unmodified but for its compression, as a layer file."""
    with destination.open("wb") as file, open_plain(path) as plain:
        compressed = Hashing(file)
        gzip = gzip_stream(compressed, GZIP_LEVEL)
        hashing = Hashing(gzip)
        shutil.copyfileobj(plain, hashing, PIECE)
        gzip.close()
    return Layer(compressed.digest, hashing.digest, compressed.size, destination)


def open_plain(path: Path) -> Any:
    """The tar's own bytes, whichever of the usual compressions it has."""
    import bz2
    import gzip
    import lzma

    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    if magic.startswith(b"BZh"):
        return bz2.open(path, "rb")
    if magic == b"\xfd7zXZ\x00":
        return lzma.open(path, "rb")
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        raise BaseImageUnusable(
            f"{path.name} is compressed with zstd, which cannot be read here.",
            hint="Decompress it first, or compress it with gzip or xz.",
        )
    return path.open("rb")


def one_layer_image(layer: Layer, work: Path) -> ImageContent:
    base = {
        "architecture": ARCHITECTURE,
        "os": SYSTEM,
        "config": {"Env": [f"PATH={DEFAULT_PATH}"], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": assemble.CREATED, "created_by": "ri-platform: root file system"}],
        "created": assemble.CREATED,
    }
    config = assemble.canonical(base)
    config_path = work / "config.json"
    config_path.write_bytes(config)
    raw = assemble.image_manifest(config, [], [layer])
    manifest = Manifest(raw, OCI_MANIFEST, digest_of(raw))
    return content_of(manifest, {digest_of(config): config_path, layer.digest: layer.path})
