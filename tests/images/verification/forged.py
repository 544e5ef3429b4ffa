"""Images as somebody forges them who can push to a repository: whole, and with a provenance that fits."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from images.building.push import referrers
from images.building.push.blobs import BlobToPush, push_blob
from images.manifest_bytes import canonical
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    digest_of,
)

IN_TOTO = "application/vnd.in-toto+json"


def read_image(
    client: RegistryClient, repository: str, tag: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Manifest, configuration and provenance of an image."""
    manifest = client.get_manifest(repository, tag).json()
    config = read_json(client, repository, manifest["config"])
    (blob,) = client.get_manifest(repository, f"{tag}-provenance").json()["layers"]
    return manifest, config, read_json(client, repository, blob)


def read_json(client: RegistryClient, repository: str, blob: dict[str, Any]) -> dict[str, Any]:
    return dict(
        json.loads(
            client.read_blob(repository, Descriptor.from_json(blob), 1 << 20, check=lambda: None)
        )
    )


def push_blob_of(
    client: RegistryClient, repository: str, media_type: str, content: bytes, folder: Path
) -> Descriptor:
    file = folder / "blob"
    file.write_bytes(content)
    blob = Descriptor(media_type, digest_of(content), len(content))
    push_blob(client, repository, BlobToPush(blob, "blob", file), folder, lambda: None)
    return blob


def push_image(
    client: RegistryClient,
    repository: str,
    number: int,
    manifest: dict[str, Any],
    statement: dict[str, Any],
    folder: Path,
    *,
    keep_subject: bool = False,
) -> None:
    """Push a manifest as a build of this number, with a provenance that refers to it."""
    raw = canonical(manifest)
    if not keep_subject:
        statement["subject"][0]["digest"]["sha256"] = digest_of(raw)[7:]
    client.put_manifest(repository, f"build-{number}", raw, OCI_MANIFEST)
    blob = push_blob_of(client, repository, IN_TOTO, json.dumps(statement).encode(), folder)
    subject = Descriptor(OCI_MANIFEST, digest_of(raw), len(raw))
    artifact = referrers.artifact_manifest(IN_TOTO, blob, subject)
    client.put_manifest(repository, f"build-{number}-provenance", artifact, OCI_MANIFEST)


def push_with_layer(
    client: RegistryClient, repository: str, title: str, package: str, folder: Path
) -> str:
    """Push build 1 again as build 2, with a layer of one's own that it calls `title`, and says that the OS
    package was asked for; returns the layer's digest.
    """
    manifest, config, statement = read_image(client, repository, "build-1")
    tar = tar_of("usr/bin/forged", b"not what it says")
    layer = push_blob_of(client, repository, OCI_LAYER_GZIP, gzip.compress(tar, mtime=0), folder)
    config["rootfs"]["diff_ids"].append(digest_of(tar))
    config["history"].append({"created_by": f"ri-platform: {title}"})
    manifest["config"] = push_blob_of(
        client, repository, OCI_CONFIG, canonical(config), folder
    ).to_json()
    manifest["layers"].append(layer.to_json())
    asked = statement["predicate"]["buildDefinition"]["externalParameters"]
    asked["os_packages"] = [{"name": package, "version": ""}]
    push_image(client, repository, 2, manifest, statement, folder)
    return layer.digest


def tar_of(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
