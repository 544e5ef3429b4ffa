"""Errors of the registry adapters and of the build engine.

Vendor errors (botocore's ClientError, httpx's, a subprocess's exit code) stop at the adapter and
become one of these, with the cause chained. `retryable` tells the task whether time may heal it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from images.requirements import MAX_TOLD
from ri_platform.errors import DomainError, TooManyRequests


class RegistryError(DomainError):
    """The container registry refused or failed."""

    code = "registry_failed"
    status = 502
    must_act = "operator"
    retryable: ClassVar[bool] = False


class RepositoryOutsidePrefix(RegistryError):
    """A name outside `<repository_prefix>/` was about to be acted on; nothing was sent."""

    code = "repository_outside_prefix"


class RepositoryNotOurs(RegistryError):
    """A repository of this name exists that this instance did not create."""

    code = "repository_not_ours"


class AnotherInstance(RegistryError):
    """The repositories under the prefix are marked as another instance's; nothing is acted on."""

    code = "another_instance"
    retryable = True


class AnotherDatabase(AnotherInstance):
    """This database is a copy of the one that acted on the repositories; nothing is acted on."""

    code = "another_database"


class RegistryNotFound(RegistryError):
    """The repository, manifest or blob does not exist."""

    code = "registry_not_found"


class RepositoryMissing(RegistryNotFound):
    """The repository itself does not exist."""


class TagTaken(RegistryError):
    """A tag that cannot be moved names another image already."""

    code = "tag_taken"


class RegistryDenied(RegistryError):
    """The registry or IAM refused the identity."""

    code = "registry_denied"


class RegistryUnavailable(RegistryError):
    """The registry cannot be reached, throttles or answers 5xx, after all retries."""

    code = "registry_unavailable"
    retryable = True
    # Whether the time of a call was over: what it is a part of is not tried again at once.
    out_of_time: bool = False


class DigestMismatch(RegistryError):
    """Content does not have the digest or size that its descriptor promised."""

    code = "digest_mismatch"


class BuildError(DomainError):
    """A build cannot succeed; the sentence names the offending requirement where there is one."""

    code = "build_failed"
    status = 422
    retryable: ClassVar[bool] = False


class CannotBeMadeAgain(BuildError):
    """An image that the registry lost cannot be made with the digest that it had."""

    code = "cannot_be_made_again"


class NotAdoptable(BuildError):
    """What a repository holds is no image that the platform could have pushed, or not a whole one."""

    code = "not_adoptable"


class ResolutionFailed(BuildError):
    """The resolver found no set of versions that satisfies all requirements."""

    code = "resolution_failed"


class LockInvalid(BuildError):
    """A name, hash, size or address of a library's file is none that can be believed."""

    code = "lock_invalid"


class NoWheel(BuildError):
    """A requirement has no wheel for this Python version and platform."""

    code = "no_wheel"


class PackageNotAllowed(BuildError):
    """A library that this installation's lists keep out is in the lock."""

    code = "package_not_allowed"


class IndexUnknown(BuildError):
    """A requirement names an index that is not configured, or that its library may not come from."""

    code = "index_unknown"


class HashesDiffer(BuildError):
    """What an index has of a library has none of the hashes that were given for it."""

    code = "hashes_differ"

    def __init__(self, libraries: Mapping[str, str]) -> None:
        """`libraries` are sentences by library, of which the first are told."""
        self.libraries = dict(libraries)
        told = list(self.libraries.values())[:MAX_TOLD]
        if len(self.libraries) > MAX_TOLD:
            told.append(f"And {len(self.libraries) - MAX_TOLD} more.")
        super().__init__(
            " ".join(told),
            hint="The file may have been altered, or the hashes are of another index; compare them, "
            "and lock again.",
        )


class LockDoesNotHold(BuildError):
    """Entries of a given lock cannot be had for the image's Python from the configured indexes."""

    code = "lock_does_not_hold"


class FetchFailed(BuildError):
    """A wheel could not be downloaded."""

    code = "fetch_failed"
    must_act = "operator"
    retryable = True


class WorkerDied(BuildError):
    """Work of any kind whose workers died in it, one after the other, as when it needs too much memory."""

    code = "worker_died"


class BuildTimedOut(BuildError):
    """A build, or one of its phases, took longer than this installation allows."""

    code = "build_timed_out"
    must_act = "operator"


class DiskFull(BuildError):
    """A worker's disk has no room for what it makes."""

    code = "disk_full"
    must_act = "operator"


class QueueTimedOut(BuildError):
    """A build waited for its start for longer than this installation allows."""

    code = "queue_timed_out"
    must_act = "operator"


class BuiltWheelGone(FetchFailed):
    """A wheel that was built here of a source distribution is no longer kept, and has to be built anew."""

    code = "built_wheel_gone"


class SourceBuildFailed(BuildError):
    """A library's own build code did not make a wheel of its source distribution."""

    code = "source_build_failed"


class TooMuchOutput(BuildError):
    """A command of a build said more than this installation allows, and was stopped."""

    code = "too_much_output"


class SourceBuildsUnavailable(BuildError):
    """Building from source was asked for where no worker can do it."""

    code = "source_builds_unavailable"


class WheelInvalid(BuildError):
    """A wheel's hash, size or contents are not what they must be."""

    code = "wheel_invalid"


class BaseImageUnusable(BuildError):
    """An image cannot serve as a base image: no Python, wrong platform, unreadable layers."""

    code = "base_image_unusable"


class OSPackagesUnavailable(BuildError):
    """OS packages were asked for where no worker can install them."""

    code = "os_packages_unavailable"


class ImportFailed(BuildError):
    """What was asked for cannot be imported, and the image's policy refuses such a build."""

    code = "import_failed"


class ImportCheckUnavailable(BuildError):
    """Imports have to be tried before an image is ready, where no sandbox can be made."""

    code = "import_check_unavailable"
    must_act = "operator"


class DeliveryFailed(DomainError):
    """A webhook's address did not take a message; `response_status` is its answer's, if it gave one."""

    code = "delivery_failed"
    status = 502

    def __init__(self, message: str, *, response_status: int | None = None) -> None:
        super().__init__(message)
        self.response_status = response_status


class TooManyBuilds(TooManyRequests):
    """One person has as many builds waiting as are allowed."""

    code = "too_many_builds"
