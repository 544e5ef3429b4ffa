"""The OCI distribution client: copies a base image in, and pushes to ECR.

Sources: OCI distribution-spec 1.1; for ECR's redirects its user guide. What is read is verified against its
digest before anybody uses it; what is written streams from disk.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import httpx

from images.errors import DigestMismatch, RegistryError, RegistryUnavailable, TagTaken
from images.registry.distribution.descriptors import (
    DOCKER_MANIFEST,
    INDEXES,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
    hex_of,
    is_digest,
)
from images.registry.distribution.sources import GrowingFile, Source, WholeFile
from images.registry.distribution.transport import Transport, TransportOptions
from images.registry.distribution.upload import CHUNK, Upload
from ri_platform.bounded import AnswerTooLarge, whole
from ri_platform.retries import TRANSFER

MANIFEST_TYPES = ", ".join((OCI_MANIFEST, DOCKER_MANIFEST, *sorted(INDEXES)))
MAX_MANIFEST = 4 << 20
# Distribution-spec, "Pulling manifests": a tag, or a digest.
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64}")


class RegistryClient:
    """One registry. Thread-safe; close it or use it as a context manager.

    A client without `guard` must be `read_only`: whatever can write goes through the prefix guard.
    """

    def __init__(
        self,
        base_url: str,
        *,
        guard: Callable[[str], str] | None = None,
        read_only: bool = False,
        **options: Unpack[TransportOptions],
    ) -> None:
        if guard is None and not read_only:
            raise ValueError("a registry client that may write needs the prefix guard")
        self._guard = guard or (lambda repository: repository)
        self._read_only = read_only
        self._transport = Transport(base_url, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    # --- manifests -----------------------------------------------------------------------------------

    def get_manifest(self, repository: str, reference: str) -> Manifest:
        """The manifest or index under a tag or digest; its bytes are verified."""
        with self._transport.stream(
            "GET",
            self._manifest_path(repository, reference),
            headers={"Accept": MANIFEST_TYPES},
            scope=self._scope(repository),
        ) as response:
            try:
                raw = whole(response, MAX_MANIFEST).content
            except AnswerTooLarge as error:
                raise RegistryError(
                    f"The manifest {repository}:{reference} is larger than 4 MiB."
                ) from error
        digest = digest_of(raw)
        promised = {reference} if is_digest(reference) else set()
        promised |= {value for value in [response.headers.get("Docker-Content-Digest")] if value}
        if promised - {digest}:
            raise DigestMismatch(
                f"The manifest {repository}:{reference} has the digest {digest}, "
                f"not {', '.join(sorted(promised - {digest}))}.",
                hint="The registry or something before it altered the content; try again.",
            )
        media_type = media_type_of(response)
        found = Manifest(raw, media_type, digest)
        return found if media_type else replace(found, media_type=found.own_media_type)

    def head_manifest(self, repository: str, reference: str) -> Descriptor | None:
        """Media type, digest and size of a manifest, or None if there is none."""
        response = self._transport.request(
            "HEAD",
            self._manifest_path(repository, reference),
            headers={"Accept": MANIFEST_TYPES},
            scope=self._scope(repository),
            missing_ok=True,
        )
        if response.status_code == 404:
            return None
        digest = response.headers.get("Docker-Content-Digest", "")
        size = response.headers.get("Content-Length", "")
        if not digest:
            # The header is a courtesy (distribution-spec, "Checking if content exists in the registry").
            found = self.get_manifest(repository, reference)
            return Descriptor(found.media_type, found.digest, len(found.raw))
        media_type = media_type_of(response)
        return Descriptor(media_type, digest, int(size) if size.isdecimal() else 0)

    def put_manifest(self, repository: str, reference: str, raw: bytes, media_type: str) -> str:
        """Store a manifest; returns its digest, which the registry's answer must agree with.

        Raises `TagTaken` if the tag names another image already and cannot be moved.
        """
        self._writable(repository)
        digest = digest_of(raw)
        try:
            response = self._transport.request(
                "PUT",
                self._manifest_path(repository, reference),
                headers={"Content-Type": media_type},
                body=raw,
                scope=self._scope(repository),
                settle=True,
            )
        except TagTaken:
            # A former request may have stored it and lost its answer: ECR refuses that one's repetition, too.
            present = self.head_manifest(repository, reference)
            if present is None or present.digest != digest:
                raise
            return digest
        answered = response.headers.get("Docker-Content-Digest", digest)
        if answered != digest:
            raise DigestMismatch(f"The registry stored {answered} instead of {digest}.")
        return digest

    # --- reading blobs ---------------------------------------------------------------------------------

    def has_blob(
        self, repository: str, digest: str, *, check: Callable[[], None] | None = None
    ) -> bool:
        response = self._transport.request(
            "HEAD",
            f"{self._path(repository)}/blobs/sha256:{hex_of(digest)}",
            scope=self._scope(repository),
            missing_ok=True,
            check=check,
        )
        return response.status_code != 404

    def open_blob(
        self, repository: str, descriptor: Descriptor, *, check: Callable[[], None]
    ) -> Iterator[bytes]:
        """Pieces of a blob; raises `DigestMismatch` at the end (or as soon as it is too long).

        `check` is asked while the registry is waited for and at each piece as it arrives, and may raise.
        """
        sha256, received = hashlib.sha256(), 0
        with self._transport.stream(
            "GET",
            f"{self._path(repository)}/blobs/{descriptor.digest}",
            headers={"Accept-Encoding": "identity"},
            scope=self._scope(repository),
            check=check,
        ) as response:
            # As they arrive: a piece of a certain size may be long in coming from a slow registry.
            for piece in response.iter_raw():
                check()
                received += len(piece)
                if received > descriptor.size:
                    break
                sha256.update(piece)
                yield piece
        if received != descriptor.size or f"sha256:{sha256.hexdigest()}" != descriptor.digest:
            raise DigestMismatch(
                f"The blob {descriptor.digest} of {repository} arrived with other content or size.",
                hint="Try again; if it stays so, the registry holds a broken blob.",
            )

    def read_blob(
        self, repository: str, descriptor: Descriptor, limit: int, *, check: Callable[[], None]
    ) -> bytes:
        """A small blob, such as a config, of at most `limit` bytes."""
        if descriptor.size > limit:
            raise RegistryError(f"The blob {descriptor.digest} is larger than {limit} bytes.")
        return b"".join(self.open_blob(repository, descriptor, check=check))

    def download_blob(
        self,
        repository: str,
        descriptor: Descriptor,
        destination: Path,
        *,
        check: Callable[[], None],
    ) -> None:
        """Stream a blob into a file, which appears only when its digest is verified.

        `check` is asked before each attempt, in waits and at each piece as it arrives, and may raise.
        """
        partial = destination.with_name(f"{destination.name}.{os.getpid()}.part")

        def download() -> None:
            check()
            with partial.open("wb") as file:
                for piece in self.open_blob(repository, descriptor, check=check):
                    file.write(piece)

        try:
            TRANSFER(may_heal, download)
            partial.replace(destination)
        finally:
            partial.unlink(missing_ok=True)

    # --- writing blobs ---------------------------------------------------------------------------------

    def mount_blob(
        self,
        repository: str,
        digest: str,
        from_repository: str,
        *,
        check: Callable[[], None] | None = None,
    ) -> bool:
        """Have the registry take a blob over from another repository of it.

        True if it did (201). A 202 opens an upload instead, which is left to expire: ECR has no
        documented action for cancelling one.
        """
        self._writable(repository)
        response = self._transport.request(
            "POST",
            f"{self._path(repository)}/blobs/uploads/",
            params={"mount": digest, "from": self._guard(from_repository)},
            scope=self._scope(repository),
            settle=True,
            check=check,
        )
        return response.status_code == 201

    def upload_blob(
        self,
        repository: str,
        digest: str,
        size: int,
        source: Path,
        *,
        chunk_size: int = CHUNK,
        check: Callable[[], None],
    ) -> None:
        """Upload a file in parts. A part that fails restarts the upload, a bounded number of times.

        `check` is asked before each attempt, in waits and before each piece, and may raise.
        """
        upload = self._upload(repository, WholeFile(source, size, digest), chunk_size, check)
        upload.refuse_too_large(size)
        TRANSFER(may_heal, upload.attempt)

    def upload_growing_blob(
        self,
        repository: str,
        source: GrowingFile,
        *,
        chunk_size: int = CHUNK,
        check: Callable[[], None],
    ) -> None:
        """Upload a file while it is written, in one attempt. Raises `GivenUp` if it is not finished.

        `check` is asked while the file is awaited, in waits and before each piece, and may raise.
        """
        self._upload(repository, source, chunk_size, check).attempt()

    def _upload(
        self, repository: str, source: Source, chunk_size: int, check: Callable[[], None]
    ) -> Upload:
        self._writable(repository)
        path, scope = self._path(repository), self._scope(repository)
        return Upload(self._transport, path, scope, source, chunk_size, check)

    def _path(self, repository: str) -> str:
        return f"/v2/{self._guard(repository)}"

    def _manifest_path(self, repository: str, reference: str) -> str:
        if not _REFERENCE.fullmatch(reference):
            raise RegistryError(f"{reference[:200]!a} is neither a tag nor a digest.")
        return f"{self._path(repository)}/manifests/{reference}"

    def _scope(self, repository: str) -> str:
        access = "pull" if self._read_only else "pull,push"
        return f"repository:{repository}:{access}"

    def _writable(self, repository: str) -> None:
        if self._read_only:
            raise RegistryError(f"This client only reads; {repository} is left as it is.")


def may_heal(error: Exception) -> bool:
    """Whether a transfer is worth another attempt now: a call that took all of its time has had its own."""
    return isinstance(error, RegistryUnavailable) and not error.out_of_time


def media_type_of(response: httpx.Response) -> str:
    """The media type that an answer states, without parameters; empty if it states none."""
    stated: str = response.headers.get("Content-Type", "")
    return stated.partition(";")[0].strip()
