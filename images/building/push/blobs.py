"""Getting an image's blobs and manifest into its repository, and proving that they are there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from images.building.downloads import check_of
from images.errors import DigestMismatch, RegistryNotFound
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import Descriptor
from ri_platform.metrics import BLOB_BYTES, BLOBS

# Bytes go up in so many streams; a mount is a question of a few bytes, of which more may be under way.
UPLOADS, MOUNTS = 4, 12
POLL_SECONDS = 0.5
_uploading = threading.BoundedSemaphore(UPLOADS)


@dataclass(frozen=True)
class BlobToPush:
    """A blob and where it may come from: a repository that has it, a file here, or both.

    `sent` tells of a file whether it went up while it was made.
    """

    descriptor: Descriptor
    title: str
    source: Path | None = None
    from_repository: str = ""
    sent: Future[bool] | None = None


def push_blobs(
    client: RegistryClient,
    repository: str,
    blobs: Sequence[BlobToPush],
    *,
    work: Path,
    check: Callable[[], None],
    log: Callable[[str], None],
) -> int:
    """Bring every blob into `repository`; returns the bytes that had to be uploaded.

    `check` is asked twice a second and may raise; uploads under way then end within a piece.
    """
    uploaded = 0
    stop = threading.Event()
    pool = ThreadPoolExecutor(MOUNTS, thread_name_prefix="push")
    try:
        running: dict[Future[PushedBlob | None], BlobToPush] = {
            pool.submit(push_blob, client, repository, blob, work, check_of(stop)): blob
            for blob in blobs
        }
        waiting = set(running)
        while waiting:
            check()
            done, waiting = wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for future in done:
                pushed = future.result()
                if pushed is None:
                    raise missing_blob_error(running[future])
                uploaded += pushed.uploaded
                log(pushed.line)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return uploaded


@dataclass(frozen=True)
class PushedBlob:
    """The way a blob came into its repository; `uploaded` in bytes."""

    line: str
    uploaded: int


def push_blob(
    client: RegistryClient,
    repository: str,
    blob: BlobToPush,
    work: Path,
    check: Callable[[], None],
) -> PushedBlob | None:
    """Bring one blob into `repository` in the cheapest way there is; None if nobody has it any more.

    `check` is asked in waits and at each piece, in this thread, and may raise.
    """
    digest = blob.descriptor.digest
    if blob.sent is not None and blob.sent.result():
        return pushed_blob(blob, "uploaded", blob.descriptor.size)
    if blob.from_repository and mount(client, repository, digest, blob.from_repository, check):
        return pushed_blob(blob, "mounted")
    if client.has_blob(repository, digest, check=check):
        return pushed_blob(blob, "present")

    while not _uploading.acquire(timeout=POLL_SECONDS):
        check()
    try:
        return upload_blob(client, repository, blob, work, check)
    finally:
        _uploading.release()


def upload_blob(
    client: RegistryClient,
    repository: str,
    blob: BlobToPush,
    work: Path,
    check: Callable[[], None],
) -> PushedBlob | None:
    """Send a blob's file, or a copy of it from the repository that has it; None if nobody has it."""
    digest, size = blob.descriptor.digest, blob.descriptor.size
    if blob.source is not None:
        client.upload_blob(repository, digest, size, blob.source, check=check)
        return pushed_blob(blob, "uploaded", size)
    if not blob.from_repository:
        return None
    # Mounting is off, or the registry wants the blob anew: copy it over by way of this disk.
    copy = work / f"copy-{digest.replace(':', '-')}"
    try:
        client.download_blob(blob.from_repository, blob.descriptor, copy, check=check)
        client.upload_blob(repository, digest, size, copy, check=check)
    except RegistryNotFound:
        return None
    finally:
        copy.unlink(missing_ok=True)
    return pushed_blob(blob, "copied", size)


def pushed_blob(blob: BlobToPush, how: str, uploaded: int = 0) -> PushedBlob:
    size = blob.descriptor.size
    BLOBS.labels(how).inc()
    BLOB_BYTES.labels(how).inc(size)
    words = "already there:" if how == "present" else how
    return PushedBlob(f"{words} {blob.title} ({size:,} bytes)", uploaded)


def mount(
    client: RegistryClient, repository: str, digest: str, holder: str, check: Callable[[], None]
) -> bool:
    """Have the registry take a blob over; False too if the repository that had it is gone."""
    if holder == repository:
        return False
    try:
        return client.mount_blob(repository, digest, holder, check=check)
    except RegistryNotFound:
        return False


def missing_blob_error(blob: BlobToPush) -> RegistryNotFound:
    return RegistryNotFound(
        f"The registry no longer holds the {blob.title} {blob.descriptor.digest}.",
        hint="An operator must import the base image again.",
    )


def verify(
    client: RegistryClient,
    repository: str,
    tag: str,
    digest: str,
    blobs: Sequence[Descriptor],
) -> None:
    """Read the manifest back by its tag and ask for these blobs. Raises if anything is not as recorded."""
    stored = client.get_manifest(repository, tag)
    if stored.digest != digest:
        raise DigestMismatch(
            f"The registry holds {stored.digest} under {repository}:{tag}, "
            f"but this build pushed {digest}.",
            hint="Build the image again; if it stays so, somebody else writes to this repository.",
        )
    with ThreadPoolExecutor(UPLOADS, thread_name_prefix="verify") as pool:
        present = list(pool.map(lambda blob: client.has_blob(repository, blob.digest), blobs))
    for blob, there in zip(blobs, present, strict=True):
        if not there:
            raise RegistryNotFound(
                f"The registry does not hold the blob {blob.digest} of {repository}:{tag}.",
                hint="Build the image again.",
            )
