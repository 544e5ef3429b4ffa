"""Config and manifest of an image: the base's layers, then ours. Pure functions to canonical bytes.

Formats: OCI image-spec 1.1, config.md and manifest.md. The same inputs give the same bytes, so the
same lock on the same base gives the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from images.building.layers.tar import Layer
from images.building.layers.wheel import MANAGED_PREFIX
from images.registry.distribution.descriptors import (
    DOCKER_LAYER_GZIP,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    digest_of,
)

# A moment of its own would make every build's image another one.
CREATED = "1970-01-01T00:00:00Z"


def image_config(
    base_config: Mapping[str, Any],
    layers: Sequence[tuple[Layer, str]],
    *,
    labels: Mapping[str, str],
    prefix: str = MANAGED_PREFIX,
) -> bytes:
    """The base's config with our layers, the environment at `prefix` and labels.

    Each layer comes with its title.
    """
    config = json.loads(json.dumps(base_config))
    run = config.setdefault("config", {})
    run["Env"] = environment(run.get("Env") or [], prefix)
    run["Labels"] = {**(run.get("Labels") or {}), **labels}
    config["created"] = CREATED
    rootfs = config.setdefault("rootfs", {"type": "layers", "diff_ids": []})
    rootfs["diff_ids"] = [*rootfs["diff_ids"], *(layer.diff_id for layer, _ in layers)]
    config["history"] = [
        *(config.get("history") or []),
        *({"created": CREATED, "created_by": f"ri-platform: {title}"} for _, title in layers),
    ]
    return canonical(config)


def environment(variables: Sequence[str], prefix: str) -> list[str]:
    """The base's variables with the environment at `prefix` first on PATH."""
    values = dict(variable.partition("=")[::2] for variable in variables)
    path = values.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    values["PATH"] = f"{prefix}/bin:{path}"
    values["VIRTUAL_ENV"] = prefix
    return [f"{name}={value}" for name, value in values.items()]


def image_manifest(
    config: bytes,
    base_layers: Sequence[Mapping[str, Any]],
    layers: Sequence[Layer],
    annotations: Mapping[str, str] | None = None,
) -> bytes:
    """An OCI manifest; Docker's media types of a base's layers become their OCI equivalents."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": OCI_CONFIG,
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [
                *(
                    {
                        "mediaType": OCI_LAYER_GZIP
                        if layer["mediaType"] == DOCKER_LAYER_GZIP
                        else layer["mediaType"],
                        "digest": layer["digest"],
                        "size": layer["size"],
                    }
                    for layer in base_layers
                ),
                *(
                    {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
                    for layer in layers
                ),
            ],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )


def canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
