"""A base image of a root file system in a tar archive."""

from __future__ import annotations

import shutil
from pathlib import Path

from images.building.bases.compression import open_plain
from images.building.bases.content import ARCHITECTURE, SYSTEM, ImageContent, content_of
from images.building.bases.inspection import DEFAULT_PATH
from images.building.layers.tar import GZIP_LEVEL, PIECE, HashingWriter, Layer, gzip_stream
from images.building.push import manifests as assemble
from images.building.user import User
from images.manifest_bytes import CREATED, canonical
from images.registry.distribution.descriptors import OCI_MANIFEST, Manifest, digest_of


def from_rootfs_tar(path: Path, *, work: Path) -> ImageContent:
    """A one-layer image of a root file system, a tar that may be compressed by gzip, bzip2, xz or zstd.

    Raises `BaseImageUnusable` for a file that is damaged, or unpacks to more than a root file system can.
    """
    layer = compress_rootfs(path, work / "rootfs.tar.gz")
    return one_layer_image(layer, work)


def compress_rootfs(path: Path, destination: Path) -> Layer:
    """The tar, unmodified but for its compression, as a layer file."""
    with destination.open("wb") as file, open_plain(path) as plain:
        compressed = HashingWriter(file)
        with gzip_stream(compressed, GZIP_LEVEL) as gzip:
            hashing = HashingWriter(gzip)
            shutil.copyfileobj(plain, hashing, PIECE)
    return Layer(compressed.digest, hashing.digest, compressed.size, destination)


def one_layer_image(layer: Layer, work: Path, user: User | None = None) -> ImageContent:
    """An image of the layer alone, which runs as `user`, in its home, or as root."""
    runs = {"User": user.runs_as, "WorkingDir": user.home} if user else {}
    base = {
        "architecture": ARCHITECTURE,
        "os": SYSTEM,
        "config": {"Env": [f"PATH={DEFAULT_PATH}"], "Cmd": ["python3"], **runs},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": CREATED, "created_by": "ri-platform: root file system"}],
        "created": CREATED,
    }
    config = canonical(base)
    config_path = work / "config.json"
    config_path.write_bytes(config)
    raw = assemble.image_manifest(config, [], [layer])
    manifest = Manifest(raw, OCI_MANIFEST, digest_of(raw))
    return content_of(manifest, {digest_of(config): config_path, layer.digest: layer.path})
