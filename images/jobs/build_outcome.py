"""The ends of a build. Each is one transaction: image row first, then the build under its token.

Locking the image before the build is the order that removal uses too, so the two never deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from packaging.utils import canonicalize_name, canonicalize_version

from images import wake
from images.attestations import Library
from images.building.pipeline import MadeLayer
from images.jobs.known_layers import remember
from images.models import (
    BaseImage,
    Build,
    BuildLayer,
    CachedLayer,
    ImageEvent,
    InstalledLibrary,
    ManagedImage,
    Status,
)
from images.models.lease import WorkState
from images.operations import swaps
from images.operations.webhooks import announce, told
from images.references import pull_reference
from ri_platform.errors import DomainError
from ri_platform.metrics import BUILDS


@dataclass(frozen=True)
class Product:
    """The product of a successful build."""

    manifest_digest: str
    config_digest: str
    size_bytes: int
    pushed_bytes: int
    libraries: Sequence[Library]
    layers: Sequence[MadeLayer]


def succeed(build: Build, product: Product) -> None:
    """Make the build its image's current one. Raises `LeaseLost` and changes nothing if it is not ours."""
    with transaction.atomic():
        image = ManagedImage.objects.select_for_update().get(pk=build.image_id)
        now = timezone.now()
        build.succeed(
            phase="",
            manifest_digest=product.manifest_digest,
            config_digest=product.config_digest,
            size_bytes=product.size_bytes,
            pushed_bytes=product.pushed_bytes,
            library_count=len(product.libraries),
        )
        InstalledLibrary.objects.current().filter(build=image.current_build_id).update(
            current_of=None
        )
        InstalledLibrary.objects.bulk_create(
            InstalledLibrary(
                build=build,
                name=library.name,
                normalized_name=canonicalize_name(library.name),
                version=library.version,
                normalized_version=canonicalize_version(library.version),
                current_of=image.name,
                sha256=library.sha256,
                built_wheel_id=library.built.row if library.built else None,
            )
            for library in product.libraries
        )
        record_layers(build, product.layers)
        # A base that moved on meanwhile makes the image one to be brought up to date.
        base = BaseImage.objects.get(pk=build.base_image_id)
        status = Status.READY if base.is_current else Status.OUTDATED
        ManagedImage.objects.filter(pk=build.image_id).update(
            current_build=build, status=status, updated_at=now
        )
        swaps.image_is_ready(image)
        announce(
            ImageEvent.READY,
            [image.name],
            build=build.number,
            digest=build.manifest_digest,
            pull_reference=pull_reference(image, build),
        )
        wake.after_commit(wake.Task.TIDY_REPOSITORY, image.pk)
    BUILDS.labels(WorkState.SUCCEEDED.value, "").inc()


def record_layers(build: Build, layers: Sequence[MadeLayer]) -> None:
    remember(layers)
    known = {
        (layer.key, layer.digest): layer
        for layer in CachedLayer.objects.filter(key__in=[layer.key for layer in layers]).defer(
            "paths"
        )
    }
    BuildLayer.objects.bulk_create(
        BuildLayer(build=build, layer=known[layer.key, layer.digest], position=position)
        for position, layer in enumerate(layers)
    )


def fail(build: Build, error: DomainError) -> None:
    """End the build with an error; the image keeps its last good build, if it has one."""
    with transaction.atomic():
        image = ManagedImage.objects.select_for_update().get(pk=build.image_id)
        now = timezone.now()
        build.fail(error, timings=build.timings)
        ManagedImage.objects.filter(pk=build.image_id).update(status=Status.FAILED, updated_at=now)
        announce(ImageEvent.FAILED, [image.name], build=build.number, error=told(error))
        wake.after_commit(wake.Task.TIDY_REPOSITORY, image.pk)
    BUILDS.labels(WorkState.FAILED.value, error.code).inc()


def let_go(build: Build) -> None:
    """Say that this worker has stopped working on a cancelled build, so its repository may go."""
    Build.objects.filter(
        pk=build.pk, lease_token=build.lease_token, state=WorkState.CANCELLED
    ).update(lease_expires_at=None)
