"""Deletion in the local registry: what is deleted is gone, as in ECR.

By itself ministack forgets the record of a deleted image or repository, and still serves its manifests and
blobs by digest.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import ecr


def forget_deleted(action: str, asked: dict[str, Any]) -> None:
    """Drop the content that a call of ECR's API has deleted. Call it after the call succeeded."""
    repository = asked.get("repositoryName", "")
    if action == "DeleteRepository":
        ecr._layer_blobs.pop(repository, None)
        ecr._manifest_blobs.pop(repository, None)
    elif action == "BatchDeleteImage":
        kept = {image["imageDigest"]: image for image in ecr._images.get(repository, [])}
        manifests = ecr._manifest_blobs.get(repository, {})
        gone = [manifests.pop(digest) for digest in list(manifests) if digest not in kept]
        still = {blob for raw in manifests.values() for blob in blobs_of(raw)}
        blobs = ecr._layer_blobs.get(repository, {})
        for raw in gone:
            for digest in blobs_of(raw) - still:
                blobs.pop(digest, None)


def blobs_of(manifest: bytes) -> set[str]:
    """The digests of the blobs that a manifest names; none of what is no image's manifest."""
    data = json.loads(manifest)
    found = [data.get("config", {}), *data.get("layers", [])]
    return {item["digest"] for item in found if "digest" in item}
