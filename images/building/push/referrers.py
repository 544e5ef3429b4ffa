"""Artifacts that refer to an image: its SBOM and its provenance, beside it in the same repository.

Source: OCI image-spec 1.1, manifest.md (`subject`, `artifactType`), guidelines for artifact usage. They
are tagged too (`build-3-sbom`), since a lifecycle rule removes what no tag names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from images.building.push.blobs import BlobToPush, push_blob
from images.manifest_bytes import canonical
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, Descriptor, digest_of

# The empty descriptor of the image-spec: two bytes, `{}`.
EMPTY = Descriptor("application/vnd.oci.empty.v1+json", digest_of(b"{}"), 2)


def push(
    client: RegistryClient,
    repository: str,
    tag: str,
    subject: Descriptor,
    artifacts: Mapping[str, tuple[str, bytes]],
    work: Path,
    *,
    check: Callable[[], None],
    putting: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:
    """Push each artifact, (media type, content) by its name; returns the bytes uploaded.

    Each manifest is put within `putting()`, which may wait or raise. `check` is asked as by `push_blob`.
    """
    empty = work / "empty.json"
    empty.write_bytes(b"{}")
    uploaded = push_file(client, repository, EMPTY, "empty configuration", empty, work, check)
    for name, (media_type, content) in artifacts.items():
        path = work / f"{name}.json"
        path.write_bytes(content)
        blob = Descriptor(media_type, digest_of(content), len(content))
        uploaded += push_file(client, repository, blob, name, path, work, check)
        manifest = artifact_manifest(media_type, blob, subject)
        with putting():
            client.put_manifest(repository, f"{tag}-{name}", manifest, OCI_MANIFEST)
        uploaded += len(manifest)
    return uploaded


def push_file(
    client: RegistryClient,
    repository: str,
    blob: Descriptor,
    title: str,
    path: Path,
    work: Path,
    check: Callable[[], None],
) -> int:
    pushed = push_blob(client, repository, BlobToPush(blob, title, path), work, check)
    assert pushed is not None
    return pushed.uploaded


def artifact_manifest(artifact_type: str, blob: Descriptor, subject: Descriptor) -> bytes:
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": EMPTY.to_json(),
            "layers": [blob.to_json()],
            "subject": subject.to_json(),
        }
    )


def empty_artifact(artifact_type: str, annotations: Mapping[str, str]) -> bytes:
    """The manifest of an artifact without content (OCI image-spec 1.1, guidelines for artifact usage)."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": EMPTY.to_json(),
            "layers": [EMPTY.to_json()],
            "annotations": dict(annotations),
        }
    )
