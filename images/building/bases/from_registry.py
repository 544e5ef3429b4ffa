"""A base image out of another registry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from images.building.bases.content import ARCHITECTURE, SYSTEM, ImageContent, blobs_of, content_of
from images.building.downloads import check_of
from images.errors import BaseImageUnusable
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import INDEXES, Descriptor, Manifest
from images.registry.reference import Reference, parse_reference

DOWNLOADS = 4


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
        go_on = check_of(stop)
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
