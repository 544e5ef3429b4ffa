"""The content of a base image on this disk: its config and its layers, each of them verified.

Every source gives this: `from_registry`, `from_layout`, `from_rootfs` and `from_debian`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.building.bases.inspection import BaseImageFacts, look_into
from images.building.layers.tar import PIECE, HashingWriter
from images.errors import BaseImageUnusable, DigestMismatch
from images.registry.distribution.descriptors import Descriptor, Manifest, hex_of

MAX_CONFIG = 4 << 20
# What container runtimes stack (overlayfs).
MAX_LAYERS = 127
ARCHITECTURE, SYSTEM = "amd64", "linux"


@dataclass(frozen=True)
class ImageContent:
    """An image on this disk; `blobs` maps the digest of each layer and the config to its file."""

    manifest: Manifest
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...]
    blobs: Mapping[str, Path]


def blobs_of(manifest: Manifest) -> list[Descriptor]:
    data = manifest.json()
    if "config" not in data or not isinstance(data.get("layers"), list):
        raise BaseImageUnusable(
            "The manifest is not that of an image.",
            hint="Manifests of schema 1 and of artifacts cannot be base images.",
        )
    if len(data["layers"]) > MAX_LAYERS:
        raise BaseImageUnusable(f"The image has more than {MAX_LAYERS} layers.")
    return [Descriptor.from_json(data["config"]), *map(Descriptor.from_json, data["layers"])]


def content_of(manifest: Manifest, blobs: Mapping[str, Path]) -> ImageContent:
    """Check the config and pair it with its files. Raises `BaseImageUnusable`."""
    config_descriptor, *layers = blobs_of(manifest)
    path = blobs[config_descriptor.digest]
    if path.stat().st_size > MAX_CONFIG:
        raise BaseImageUnusable("The image's config is larger than 4 MiB.")
    config = config_of(path.read_bytes())
    platform = (config.get("os"), config.get("architecture"))
    if platform != (SYSTEM, ARCHITECTURE):
        raise BaseImageUnusable(
            f"The image is for {platform[0]}/{platform[1]}, not {SYSTEM}/{ARCHITECTURE}."
        )
    if len(config["rootfs"]["diff_ids"]) != len(layers):
        raise BaseImageUnusable("The image's config and manifest disagree about its layers.")
    return ImageContent(manifest, config, tuple(layers), blobs)


def config_of(raw: bytes) -> dict[str, Any]:
    """An image's config (image-spec, config.md) with the parts that are read here. Raises
    `BaseImageUnusable`."""
    try:
        config = json.loads(raw)
        run, rootfs = config.get("config") or {}, config["rootfs"]
        variables = run.get("Env") or []
        for diff_id in rootfs["diff_ids"]:
            hex_of(diff_id)
        sound = isinstance(variables, list) and all(isinstance(item, str) for item in variables)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BaseImageUnusable("The image's config is none of an image.") from error
    if not sound:
        raise BaseImageUnusable("The environment in the image's config is none.")
    return dict(config)


def verify_file(path: Path, descriptor: Descriptor) -> None:
    if not path.is_file():
        raise BaseImageUnusable(f"The blob {descriptor.digest} is missing.")
    with path.open("rb") as file, Path("/dev/null").open("wb") as nowhere:
        hashing = HashingWriter(nowhere)
        shutil.copyfileobj(file, hashing, PIECE)
    if hashing.digest != descriptor.digest:
        raise DigestMismatch(f"The blob {descriptor.digest} has other content.")


def inspect(content: ImageContent) -> BaseImageFacts:
    """The image inspected as a base. Raises `BaseImageUnusable`."""
    return look_into(
        [content.blobs[layer.digest] for layer in content.layers],
        (content.config.get("config") or {}).get("Env") or [],
        sum(layer.size for layer in content.layers),
    )
