"""Manifests that name what the repository lacks are refused by the local registry, as by ECR.

By itself ministack takes any manifest, so a build that forgot a layer would have an image that nobody can
pull. Sources: ECR API reference, PutImage (`LayersNotFoundException`, `ReferencedImagesNotFoundException`);
OCI distribution-spec 1.1, "Error codes" (`MANIFEST_BLOB_UNKNOWN`), with the reference registry's status.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ecr

from ri_platform.local.registry_access import Answer, Headers, error

_put_manifest = ecr._v2_put_manifest
_put_image = ecr._put_image


def refuse_incomplete() -> None:
    """Wrap what stores a manifest, in the registry and in ECR's API."""
    ecr._v2_put_manifest = put_manifest
    ecr._put_image = put_image


def put_manifest(name: str, ref: str, headers: Headers, body: bytes) -> Answer:
    if missing := [*missing_blobs(name, body), *missing_images(name, body)]:
        return error(400, "MANIFEST_BLOB_UNKNOWN", f"unknown to registry: {', '.join(missing)}")
    answer: Answer = _put_manifest(name, ref, headers, body)
    return answer


def put_image(asked: dict[str, Any]) -> Answer:
    name, manifest = asked.get("repositoryName", ""), asked.get("imageManifest", "").encode()
    refused = ""
    if missing := missing_blobs(name, manifest):
        refused = "LayersNotFoundException"
    elif missing := missing_images(name, manifest):
        refused = "ReferencedImagesNotFoundException"
    if refused and name in ecr._repositories:
        words = f"The repository with name '{name}' does not have {', '.join(missing)}"
        answer: Answer = error_response_json(refused, words, 400)
    else:
        answer = _put_image(asked)
    return answer


def missing_blobs(repository: str, manifest: bytes) -> list[str]:
    """The blobs that a manifest names and the repository lacks, by digest; those with addresses of their own
    lie elsewhere (image-spec, non-distributable layers)."""
    content = read(manifest)
    named = [content.get("config"), *listed(content, "layers")]
    held = ecr._layer_blobs.get(repository, {})
    return lacking(
        [item for item in named if isinstance(item, dict) and not item.get("urls")], held
    )


def missing_images(repository: str, manifest: bytes) -> list[str]:
    """The manifests that an index names and the repository lacks, by digest."""
    held = ecr._manifest_blobs.get(repository, {})
    named = listed(read(manifest), "manifests")
    return lacking([item for item in named if isinstance(item, dict)], held)


def lacking(named: Iterable[dict[str, Any]], held: Container[str]) -> list[str]:
    return [item["digest"] for item in named if "digest" in item and item["digest"] not in held]


def listed(content: dict[str, Any], field: str) -> list[Any]:
    found = content.get(field)
    return found if isinstance(found, list) else []


def read(manifest: bytes) -> dict[str, Any]:
    """The content of a manifest; none if it is no JSON object."""
    try:
        content = json.loads(manifest)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
