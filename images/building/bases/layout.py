"""An image out of our registry as an OCI image layout on this disk (image-spec, image-layout.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from images.building.bases.content import blobs_of
from images.building.bases.from_registry import DOWNLOADS
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_INDEX, Descriptor, Manifest, hex_of

TAG = "org.opencontainers.image.ref.name"


def write_layout(
    client: RegistryClient, repository: str, digest: str, tag: str, folder: Path
) -> Manifest:
    """Download a manifest and its blobs, each verified by its digest, into `folder`, which must not exist.

    The layout names the image `tag`. `index.json` comes last, so a layout that was cut off names no image.
    """
    manifest = client.get_manifest(repository, digest)
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def download(descriptor: Descriptor) -> None:
        path = blobs / hex_of(descriptor.digest)
        client.download_blob(repository, descriptor, path, check=lambda: None)

    unique = {descriptor.digest: descriptor for descriptor in blobs_of(manifest)}
    with ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="pull") as pool:
        list(pool.map(download, unique.values()))
    complete_layout(folder, manifest, {TAG: tag})
    return manifest


def complete_layout(
    folder: Path, manifest: Manifest, annotations: Mapping[str, str] | None = None
) -> None:
    """Write the manifest and the files that make a folder of blobs a layout, `index.json` last."""
    (folder / "blobs/sha256" / hex_of(manifest.digest)).write_bytes(manifest.raw)
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    entry = Descriptor(manifest.media_type, manifest.digest, len(manifest.raw), annotations or {})
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.to_json()]}
    (folder / "index.json").write_text(json.dumps(index, indent=2))
