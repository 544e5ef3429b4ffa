"""The registry's content of one image, beside what is recorded. Runs as the build jobs.

The manifest is read by the build's tag, so its bytes have the recorded digest or not; what it names is asked
for by HEAD, or read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from images.errors import DigestMismatch, RegistryError, RegistryNotFound, RepositoryMissing
from images.models import BaseImage, Build, FindingCode
from images.references import repository_of
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import Descriptor, Manifest
from images.verification.findings import Finding
from images.verification.pace import Pace

# Requests at a time: enough to hide the way to the registry.
THREADS = 8


@dataclass(frozen=True)
class Promise:
    """An image that must be in the registry; `build` is its build's number, None of a base image."""

    subject: str
    repository: str
    tag: str
    digest: str
    build: int | None = None

    @classmethod
    def of(cls, row: Build | BaseImage) -> Promise:
        if isinstance(row, BaseImage):
            return cls(str(row), row.repository, row.tag, row.manifest_digest)
        image = row.image
        return cls(image.name, repository_of(image), row.tag, row.manifest_digest, row.number)

    @property
    def called(self) -> str:
        return (
            f"build {self.build} of {self.subject}"
            if self.build
            else f"the base image {self.subject}"
        )

    def finding(self, code: FindingCode, said: str, digest: str = "") -> Finding:
        return Finding(code, self.subject, said, self.build, digest or self.digest)


class Look:
    """Looks at images one after the other, several requests at a time. Use it as a context manager.

    `check` is asked before each request and may raise.
    """

    def __init__(
        self,
        client: RegistryClient,
        *,
        pace: Pace,
        deep: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._pace, self._deep, self._check = client, pace, deep, check
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="verify")

    def __enter__(self) -> Look:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def at(self, promise: Promise) -> list[Finding]:
        """What is wrong with one image. Raises `RegistryError` if the registry cannot be asked."""
        found: list[Finding] = []
        try:
            manifest = self._manifest(promise, found)
        except RepositoryMissing:
            said = (
                f"The repository {promise.repository} of {promise.called} is not in the registry."
            )
            return [promise.finding(FindingCode.REPOSITORY_MISSING, said)]
        if manifest is not None:
            wanted = {blob.digest: blob for blob in layers_and_config(manifest)}
            for problem in self._pool.map(lambda blob: self._blob(promise, blob), wanted.values()):
                found += problem
        return found

    def _manifest(self, promise: Promise, found: list[Finding]) -> Manifest | None:
        """The manifest by its tag, else by its digest; what is wrong with either is added to `found`."""
        where = f"{promise.repository}:{promise.tag}"
        try:
            tagged = self._get(promise, promise.tag)
        except RepositoryMissing:
            raise
        except RegistryNotFound:
            said = f"The registry has no {where}, the tag of {promise.called}."
            code = FindingCode.TAG_MISSING
        except DigestMismatch as error:
            said, code = f"{where} is broken. {error.message}", FindingCode.CONTENT_DIFFERS
        else:
            if tagged.digest == promise.digest:
                return tagged
            said = f"{where} is {tagged.digest}, but {promise.called} is {promise.digest}."
            code = FindingCode.TAG_MOVED
        try:
            manifest = self._get(promise, promise.digest)
        except RegistryNotFound:
            if code == FindingCode.TAG_MISSING:
                said = f"The registry has no manifest {promise.digest} of {promise.called}."
                code = FindingCode.MANIFEST_MISSING
            else:
                found.append(promise.finding(FindingCode.MANIFEST_MISSING, said))
            found.append(promise.finding(code, said))
            return None
        except DigestMismatch as error:
            found.append(promise.finding(FindingCode.CONTENT_DIFFERS, error.message))
            return None
        found.append(promise.finding(code, said))
        return manifest

    def _get(self, promise: Promise, reference: str) -> Manifest:
        self._check()
        self._pace.wait()
        return self._client.get_manifest(promise.repository, reference)

    def _blob(self, promise: Promise, blob: Descriptor) -> list[Finding]:
        self._check()
        self._pace.wait()
        try:
            if self._deep:
                for _ in self._client.open_blob(promise.repository, blob, check=self._check):
                    pass
                return []
            if self._client.has_blob(promise.repository, blob.digest, check=self._check):
                return []
        except DigestMismatch as error:
            return [promise.finding(FindingCode.CONTENT_DIFFERS, error.message, blob.digest)]
        except RegistryNotFound:
            pass
        said = f"The registry does not hold the blob {blob.digest} of {promise.called}."
        return [promise.finding(FindingCode.BLOB_MISSING, said, blob.digest)]


def layers_and_config(manifest: Manifest) -> list[Descriptor]:
    """The blobs of an image's manifest, the configuration first. Raises `RegistryError` for another one."""
    data = manifest.json()
    if not isinstance(data.get("config"), dict) or not isinstance(data.get("layers"), list):
        raise RegistryError(f"The manifest {manifest.digest} is not that of an image.")
    return [Descriptor.from_json(data["config"]), *map(Descriptor.from_json, data["layers"])]


def look_at_all(look: Look, rows: Iterator[Build | BaseImage]) -> Iterator[Finding]:
    for row in rows:
        yield from look.at(Promise.of(row))
