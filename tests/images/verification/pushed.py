"""Images of a few bytes that are really in the local registry, with the rows that say so."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from images.manifest_bytes import canonical
from images.models import BaseImage, ManagedImage, Status
from images.registry.distribution.descriptors import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    digest_of,
)
from tests import factories
from tests.local_aws import LocalAWS

PREFIX = "rime-managed-images"


def contents(name: str) -> dict[str, bytes]:
    """The blobs of an image by digest, the configuration first."""
    config = json.dumps({"os": "linux", "architecture": "amd64", "name": name}).encode()
    layers = [gzip.compress(f"{name} {number}".encode(), mtime=0) for number in (1, 2)]
    return {digest_of(raw): raw for raw in (config, *layers)}


def manifest_of(blobs: dict[str, bytes], elsewhere: Sequence[str] = ()) -> bytes:
    """Of blobs by digest. Those that lie `elsewhere` have an address, so a registry takes it without them."""

    def named(media_type: str, digest: str) -> dict[str, Any]:
        address = {"urls": ["https://files.example/x"]} if digest in elsewhere else {}
        return {**Descriptor(media_type, digest, len(blobs[digest])).to_json(), **address}

    config, *layers = blobs
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": named(OCI_CONFIG, config),
            "layers": [named(OCI_LAYER_GZIP, digest) for digest in layers],
        }
    )


def push(
    aws: LocalAWS, name: str, folder: Path, *, tags: Sequence[str], without: Sequence[str] = ()
) -> str:
    """Push an image under `<prefix>/<name>`, less the blobs `without`; returns its digest."""
    blobs = contents(name)
    manifest = manifest_of(blobs, without)
    repository = f"{PREFIX}/{name}"
    aws.control("registry-server").create_repository(repository, ours=True)
    with aws.client() as client:
        for digest, raw in blobs.items():
            if digest not in without:
                file = folder / "blob"
                file.write_bytes(raw)
                client.upload_blob(repository, digest, len(raw), file, check=lambda: None)
        for tag in tags:
            client.put_manifest(repository, tag, manifest, OCI_MANIFEST)
    return digest_of(manifest)


def push_ready(aws: LocalAWS, name: str, base: BaseImage, folder: Path) -> ManagedImage:
    """An image that is READY, and in the registry as its row says."""
    digest = push(aws, name, folder, tags=["build-1"])
    return factories.make_image(name, base=base, status=Status.READY, manifest_digest=digest)


def push_base(aws: LocalAWS, folder: Path) -> BaseImage:
    digest = push(aws, "base/all-3.11", folder, tags=["test-1"])
    return factories.make_base_image(platform_version="test-1", manifest_digest=digest)
