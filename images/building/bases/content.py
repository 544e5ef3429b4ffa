"""Where base images come from: a registry, an OCI layout, or a rootfs; and how they get to ours.

Whatever the source, the result is the same: an image's config and layers as files on this disk.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.building.bases.inspection import DEFAULT_PATH, BaseImageFacts, look_into
from images.building.downloads import Stopped
from images.building.layers.tar import GZIP_LEVEL, PIECE, Hashing, Layer, gzip_stream
from images.building.push import manifests as assemble
from images.errors import BaseImageUnusable, DigestMismatch
from images.registry.distribution.client import (
    INDEXES,
    MAX_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    RegistryClient,
    digest_of,
    hex_of,
)
from images.registry.reference import Reference, parse_reference

DOWNLOADS = 4
MAX_CONFIG = 4 << 20
# What container runtimes stack (overlayfs).
MAX_LAYERS = 127
_LAYOUT_FILE = re.compile(r"oci-layout|index\.json|blobs/sha256/[0-9a-f]{64}")
ARCHITECTURE, SYSTEM = "amd64", "linux"


@dataclass(frozen=True)
class ImageContent:
    """An image on this disk; `blobs` maps the digest of each layer and the config to its file."""

    manifest: Manifest
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...]
    blobs: Mapping[str, Path]


def from_registry(
    reference: str,
    work: Path,
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
    timeout: float = 30.0,
) -> ImageContent:
    """Copy an image from any OCI registry, anonymously. Raises within `timeout` if it is out of reach."""
    parsed = parse_reference(reference)
    with RegistryClient(parsed.registry, read_only=True, timeout=timeout, attempts=2) as client:
        manifest = manifest_of(client, parsed, reference)
        descriptors = blobs_of(manifest)
        log(f"Copying {reference}: {sum(d.size for d in descriptors):,} bytes")
        blobs = {d.digest: work / d.digest.replace(":", "-") for d in descriptors}
        stop = threading.Event()

        def go_on() -> None:
            if stop.is_set():
                raise Stopped

        with ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="copy") as pool:
            waiting = {
                pool.submit(
                    client.download_blob, parsed.repository, d, blobs[d.digest], check=go_on
                )
                for d in descriptors
            }
            try:
                while waiting:
                    check()
                    done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
            except BaseException:
                # The pool waits for those that run; they end within a piece or a wait.
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return content_of(manifest, blobs)


def manifest_of(client: RegistryClient, parsed: Reference, reference: str) -> Manifest:
    """The manifest for our platform, chosen from an index where the reference names one."""
    manifest = client.get_manifest(parsed.repository, parsed.reference)
    if manifest.media_type in INDEXES:
        chosen = platform_manifest(manifest.json(), reference)
        manifest = client.get_manifest(parsed.repository, chosen)
    return manifest


def platform_manifest(index: Mapping[str, Any], name: str) -> str:
    """The digest of the index's image for our platform."""
    items = index.get("manifests")
    for item in items if isinstance(items, list) else ():
        platform = item.get("platform") if isinstance(item, dict) else None
        if not isinstance(platform, dict):
            continue
        if platform.get("os") == SYSTEM and platform.get("architecture") == ARCHITECTURE:
            return Descriptor.from_json(item).digest
    raise BaseImageUnusable(f"{name} has no image for {SYSTEM}/{ARCHITECTURE}.")


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


def unpack_layout(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack a layout's own files and nothing else, so that no member can point elsewhere."""
    (folder / "blobs" / "sha256").mkdir(parents=True)
    for member in tar:
        name = member.name.removeprefix("./")
        if member.isreg() and _LAYOUT_FILE.fullmatch(name):
            content = tar.extractfile(member)
            assert content is not None
            with content, (folder / name).open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def from_oci_layout(path: Path, *, work: Path) -> ImageContent:
    """An image of an OCI layout (image-spec, image-layout.md), a folder or a tar of one."""
    if path.is_file():
        folder = work / "layout"
        with tarfile.open(path) as tar:
            unpack_layout(tar, folder)
        path = folder
    if not (path / "oci-layout").is_file():
        raise BaseImageUnusable(f"{path.name} is not an OCI image layout.")

    def blob(digest: str) -> Path:
        descriptor = Descriptor.from_json({"digest": digest})
        return path / "blobs" / "sha256" / descriptor.digest.removeprefix("sha256:")

    def manifest_at(digest: str, media_type: str) -> Manifest:
        file = blob(digest)
        if not file.is_file() or file.stat().st_size > MAX_MANIFEST:
            raise BaseImageUnusable(f"The layout's manifest {digest} is missing, or too large.")
        raw = file.read_bytes()
        if digest_of(raw) != digest:
            raise DigestMismatch(f"The layout's blob {digest} has other content.")
        return Manifest(raw, media_type, digest)

    index = Manifest((path / "index.json").read_bytes(), OCI_INDEX, "index.json").json()
    manifests = index.get("manifests")
    if not isinstance(manifests, list) or not manifests:
        raise BaseImageUnusable(f"The layout {path.name} holds no image.")
    first = Descriptor.from_json(manifests[0])
    manifest = manifest_at(first.digest, first.media_type or OCI_MANIFEST)
    if manifest.media_type in INDEXES:
        manifest = manifest_at(platform_manifest(manifest.json(), path.name), OCI_MANIFEST)
    descriptors = blobs_of(manifest)
    for descriptor in descriptors:
        verify_file(blob(descriptor.digest), descriptor)
    return content_of(manifest, {d.digest: blob(d.digest) for d in descriptors})


def verify_file(path: Path, descriptor: Descriptor) -> None:
    if not path.is_file():
        raise BaseImageUnusable(f"The blob {descriptor.digest} is missing.")
    with path.open("rb") as file, Path("/dev/null").open("wb") as nowhere:
        hashing = Hashing(nowhere)
        shutil.copyfileobj(file, hashing, PIECE)
    if hashing.digest != descriptor.digest:
        raise DigestMismatch(f"The blob {descriptor.digest} has other content.")


def from_rootfs_tar(path: Path, *, work: Path) -> ImageContent:
    """A one-layer image of a root file system, a tar that may be compressed as Python can read."""
    layer = compress_rootfs(path, work / "rootfs.tar.gz")
    return one_layer_image(layer, work)


def compress_rootfs(path: Path, destination: Path) -> Layer:
    """The tar, unmodified but for its compression, as a layer file."""
    with destination.open("wb") as file, open_plain(path) as plain:
        compressed = Hashing(file)
        gzip = gzip_stream(compressed, GZIP_LEVEL)
        hashing = Hashing(gzip)
        shutil.copyfileobj(plain, hashing, PIECE)
        gzip.close()
    return Layer(compressed.digest, hashing.digest, compressed.size, destination)


def open_plain(path: Path) -> Any:
    """The tar's own bytes, whichever of the usual compressions it has."""
    import bz2
    import gzip
    import lzma

    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    if magic.startswith(b"BZh"):
        return bz2.open(path, "rb")
    if magic == b"\xfd7zXZ\x00":
        return lzma.open(path, "rb")
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        raise BaseImageUnusable(
            f"{path.name} is compressed with zstd, which cannot be read here.",
            hint="Decompress it first, or compress it with gzip or xz.",
        )
    return path.open("rb")


def one_layer_image(layer: Layer, work: Path) -> ImageContent:
    base = {
        "architecture": ARCHITECTURE,
        "os": SYSTEM,
        "config": {"Env": [f"PATH={DEFAULT_PATH}"], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": assemble.CREATED, "created_by": "ri-platform: root file system"}],
        "created": assemble.CREATED,
    }
    config = assemble.canonical(base)
    config_path = work / "config.json"
    config_path.write_bytes(config)
    raw = assemble.image_manifest(config, [], [layer])
    manifest = Manifest(raw, OCI_MANIFEST, digest_of(raw))
    return content_of(manifest, {digest_of(config): config_path, layer.digest: layer.path})


def inspect(content: ImageContent) -> BaseImageFacts:
    """What the image offers as a base. Raises `BaseImageUnusable`."""
    return look_into(
        [content.blobs[layer.digest] for layer in content.layers],
        (content.config.get("config") or {}).get("Env") or [],
        sum(layer.size for layer in content.layers),
    )
