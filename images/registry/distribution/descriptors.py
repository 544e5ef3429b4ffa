"""Content by digest: media types, descriptors and manifests.

Sources: OCI image-spec 1.1 (descriptor.md, media-types.md), Docker image manifest v2 schema 2.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from images.errors import DigestMismatch, RegistryError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
# Docker's media types of layers, and their OCI equivalents.
OCI_LAYERS = {DOCKER_LAYER_GZIP: OCI_LAYER_GZIP, DOCKER_LAYER_ZSTD: OCI_LAYER_ZSTD}
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})

# ECR's own limit for a layer, 52,000 MiB; nobody's blob is larger here.
MAX_BLOB = 52_000 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# RFC 6838, 4.2; parameters are not a media type's name.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+/-]{0,254}")


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def hex_of(digest: str) -> str:
    """The hexadecimal part of a sha256 digest, safe as part of a path. Raises `DigestMismatch` for
    anything else."""
    if not isinstance(digest, str) or not is_digest(digest):
        raise DigestMismatch(f"{str(digest)[:100]!a} is not a sha256 digest.")
    return digest.removeprefix("sha256:")


@dataclass(frozen=True)
class Descriptor:
    """The address of content (image-spec, descriptor.md); `size` in bytes.

    Construction raises `DigestMismatch` for an invalid digest or an impossible size: descriptors come from
    registries and layouts, and digests become paths.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hex_of(self.digest)
        if isinstance(self.size, bool) or not isinstance(self.size, int):
            raise DigestMismatch(f"The blob {self.digest} has no size.")
        if not 0 <= self.size <= MAX_BLOB:
            raise DigestMismatch(f"The blob {self.digest} cannot have {self.size} bytes.")
        if self.media_type and not _MEDIA_TYPE.fullmatch(self.media_type):
            raise DigestMismatch(f"The blob {self.digest} is of no media type.")

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.annotations:
            data["annotations"] = dict(self.annotations)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A descriptor from a manifest or an index. Raises `DigestMismatch` where it is invalid."""
        if not isinstance(data, dict):
            raise DigestMismatch(f"{str(data)[:100]!a} is not a descriptor.")
        annotations = data.get("annotations")
        return cls(
            str(data.get("mediaType", "")),
            data.get("digest", ""),
            data.get("size", 0),
            dict(annotations) if isinstance(annotations, dict) else {},
        )


@dataclass(frozen=True)
class Manifest:
    """A manifest or index exactly as the registry holds it."""

    raw: bytes
    media_type: str
    digest: str

    @property
    def own_media_type(self) -> str:
        """The media type that the content states, for registries whose answer states none."""
        return str(self.json().get("mediaType") or OCI_MANIFEST)

    def json(self) -> dict[str, Any]:
        """The content parsed. Raises `RegistryError` where it is not a JSON object."""
        try:
            data = json.loads(self.raw)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"The manifest {self.digest} is not JSON.") from error
        if not isinstance(data, dict):
            raise RegistryError(f"The manifest {self.digest} is not a JSON object.")
        return data


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
