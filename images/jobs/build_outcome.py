"""The ends of a build. Each is one transaction: image row first, then the build under its token.

Locking the image before the build is the order that removal uses too, so the two never deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from packaging.utils import canonicalize_name, canonicalize_version

from images import wake
from images.attestations import Library
from images.build_keys import question_key, twin_key
from images.building.native.linking import MissingLibrary
from images.building.pipeline import MadeLayer
from images.indexes import Indexes
from images.jobs import library_index
from images.jobs.journal import Journal
from images.jobs.known_layers import CONTENTS, remember
from images.models import (
    Attestation,
    BaseImage,
    Build,
    BuildLayer,
    CachedLayer,
    ImageEvent,
    InstalledLibrary,
    ManagedImage,
    MovingTag,
    Status,
)
from images.models.build import OF_THE_PLATFORM
from images.models.drift import keep_manifest
from images.models.lease import WorkState
from images.operations import import_checks, swaps
from images.operations.webhooks import announce, describe_error
from images.references import pull_reference
from images.registry.tags import LATEST
from ri_platform.errors import DomainError
from ri_platform.metrics import BUILDS


@dataclass(frozen=True)
class Product:
    """The product of a successful build; `manifest` and `config` are its bytes as pushed."""

    manifest_digest: str
    config_digest: str
    size_bytes: int
    pushed_bytes: int
    libraries: Sequence[Library]
    layers: Sequence[MadeLayer]
    missing_libraries: Sequence[MissingLibrary] = ()
    manifest: bytes = b""
    config: bytes = b""


def succeed(build: Build, product: Product, journal: Journal) -> None:
    """Make the build its image's current one. Raises `LeaseLost` and changes nothing if it is not ours."""
    with transaction.atomic():
        image = ManagedImage.objects.select_for_update().get(pk=build.image_id)
        now = timezone.now()
        build.succeed(
            phase="",
            timings=build.timings,
            manifest_digest=product.manifest_digest,
            config_digest=product.config_digest,
            size_bytes=product.size_bytes,
            pushed_bytes=product.pushed_bytes,
            library_count=len(product.libraries),
            missing_libraries=[asdict(item) for item in product.missing_libraries],
        )
        journal.write_lines()
        record_libraries(build, image, product.libraries)
        record_layers(build, product.layers)
        if product.manifest:
            keep_with_keys(build, product)
        if product.missing_libraries:
            library_index.ask_for(build.base_image)
        # A base that moved on meanwhile makes the image one to be brought up to date.
        base = BaseImage.objects.get(pk=build.base_image_id)
        status = Status.READY if base.is_current else Status.OUTDATED
        ManagedImage.objects.filter(pk=build.image_id).update(
            current_build=build, status=status, updated_at=now
        )
        point_latest_at(build, image)
        ask_for_attestation(build)
        swaps.image_is_ready(image)
        import_checks.ask_for(image, build)
        announce_ready(image, build)
        wake.after_commit(wake.Task.TIDY_REPOSITORY, image.pk)
    BUILDS.labels(WorkState.SUCCEEDED.value, "").inc()


def keep_with_keys(build: Build, product: Product) -> None:
    """Keep what was pushed, so that the digest of an image that differs by annotations alone is known."""
    base, spec = build.base_image, build.spec
    question = ""
    if spec.is_locked and not spec.allow_source:
        question = question_key(spec, base, Indexes.from_settings().choose(spec.indexes))
    keep_manifest(
        build, product.manifest, product.config, twin_key=twin_key(build), question=question
    )


def announce_ready(image: ManagedImage, build: Build) -> None:
    """Tell webhooks that the image can be pulled, and by which reference."""
    announce(
        ImageEvent.READY,
        [image.name],
        build=build.number,
        digest=build.manifest_digest,
        pull_reference=pull_reference(image, build),
    )


def point_latest_at(build: Build, image: ManagedImage) -> None:
    """Have the tag `latest` follow, where tags move; a worker puts it there after the commit."""
    if not image.tags_may_move:
        return
    wanted = {"build": build, "set_at": timezone.now(), "error": ""}
    MovingTag.objects.update_or_create(image=image, name=LATEST, defaults=wanted)
    if build.reason not in OF_THE_PLATFORM:
        wake.after_commit(wake.Task.MOVE_TAGS, image.pk)


def ask_for_attestation(build: Build) -> None:
    """Have SBOM and provenance follow the image. Those of the platform's own builds wait until it has none
    left.
    """
    attestation = Attestation.objects.create(build=build)
    if build.reason not in OF_THE_PLATFORM:
        wake.after_commit(wake.Task.WRITE_ATTESTATION, attestation.pk)


def record_libraries(build: Build, image: ManagedImage, libraries: Sequence[Library]) -> None:
    """Record what the build installs; only the libraries of the current build name their image."""
    InstalledLibrary.objects.current().filter(build=image.current_build_id).update(current_of=None)
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
            notes=list(library.notes),
        )
        for library in libraries
    )


def record_layers(build: Build, layers: Sequence[MadeLayer]) -> None:
    known = layers_of(layers)
    remember(layer for layer in layers if is_news(layer, known.get((layer.key, layer.digest))))
    if any((layer.key, layer.digest) not in known for layer in layers):
        known = layers_of(layers)
    BuildLayer.objects.bulk_create(
        BuildLayer(build=build, layer=known[layer.key, layer.digest], position=position)
        for position, layer in enumerate(layers)
    )


def is_news(layer: MadeLayer, known: CachedLayer | None) -> bool:
    """Whether a layer says more than its row. One with native libraries was made in this build; one that was
    remembered has its OS packages from the row."""
    return known is None or bool(layer.native) or bool(layer.os_packages and not known.os_packages)


def layers_of(layers: Sequence[MadeLayer]) -> dict[tuple[str, str], CachedLayer]:
    """Key and digest → the row of a layer, for those that are known."""
    rows = CachedLayer.objects.filter(key__in=[layer.key for layer in layers])
    return {(layer.key, layer.digest): layer for layer in rows.defer(*CONTENTS)}


def fail(build: Build, error: DomainError, journal: Journal) -> None:
    """End the build with an error; the image keeps its last good build, if it has one."""
    with transaction.atomic():
        image = ManagedImage.objects.select_for_update().get(pk=build.image_id)
        now = timezone.now()
        build.fail(error, **journal.columns)
        journal.write_lines()
        ManagedImage.objects.filter(pk=build.image_id).update(status=Status.FAILED, updated_at=now)
        announce(ImageEvent.FAILED, [image.name], build=build.number, error=describe_error(error))
        wake.after_commit(wake.Task.TIDY_REPOSITORY, image.pk)
    BUILDS.labels(WorkState.FAILED.value, error.code).inc()


def repeat(build: Build, error: DomainError, pause: timedelta) -> None:
    """Queue the build again after a failure that may heal, for after a pause. Raises `LeaseLost`.

    What failed is kept in `failed_attempts`, with RFC 3339 times.
    """
    now = timezone.now()
    failed = {
        "at": now.isoformat(),
        "again_at": (now + pause).isoformat(),
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
    }
    build.put_back(
        now + pause,
        not_before=now + pause,
        failed_attempts=[*build.failed_attempts, failed],
        phase="",
        timings=build.timings,
    )


def fail_waiting(
    image: ManagedImage, error: DomainError, states: Sequence[WorkState] = (WorkState.QUEUED,)
) -> None:
    """End the image's build that is in one of these states. The caller holds the image in its transaction."""
    if not Build.objects.filter(image=image, state__in=states).fail(error):
        return
    ManagedImage.objects.filter(pk=image.pk).update(status=Status.FAILED, updated_at=timezone.now())
    announce(ImageEvent.FAILED, [image.name], error=describe_error(error))


def let_go(build: Build) -> None:
    """Say that this worker has stopped working on a cancelled build, so its repository may go."""
    Build.objects.filter(
        pk=build.pk, lease_token=build.lease_token, state=WorkState.CANCELLED
    ).update(lease_expires_at=None)
