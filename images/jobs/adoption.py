"""Repositories that no record knows: adopted as images of this instance, or deleted, as administrators wish.

An adopted image has one build, the newest in its repository: its row is made of what the image says of
itself, checked (`images.verification.claims`). Its older builds stay in the repository and are no revisions.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images.building.locks.target import Target
from images.building.pipeline import MadeLayer
from images.errors import BuildError, NotAdoptable, RegistryNotFound, RegistryUnavailable
from images.jobs.build_outcome import (
    announce_ready,
    point_latest_at,
    record_layers,
    record_libraries,
)
from images.jobs.image_libraries import image_libraries
from images.jobs.layer_plan import planned_layers
from images.jobs.leased import Holder, carry_out
from images.jobs.os_layer import OSLayer
from images.models import (
    BaseImage,
    Build,
    BuildReason,
    ManagedImage,
    Status,
    UnknownRepository,
    Wish,
)
from images.models.drift import keep_manifest
from images.models.lease import WorkState, end_columns, error_columns
from images.operations import import_checks
from images.operations.builds import set_spec
from images.operations.drift import pause_after
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.registry.ecr.repositories import RepositoryControl
from images.registry.tags import build_number
from images.verification.claims import ClaimedImage, read_claims
from images.verification.contents import Look, Promise
from images.verification.names import unknown
from images.verification.pace import Pace
from ri_platform.errors import Conflict, DomainError
from ri_platform.locks import exclusive_if_free
from workspaces.access import Actor
from workspaces.audit import record

log = logging.getLogger(__name__)


def adopt(repository_id: int) -> None:
    """Adopt the image in a repository. Runs as the build jobs."""
    carry_out_wish(repository_id, Wish.ADOPT, adopt_claimed)


def delete(repository_id: int) -> None:
    """Delete a repository of no record. Runs as the registry server."""
    carry_out_wish(repository_id, Wish.DELETE, delete_claimed)


def carry_out_wish(
    repository_id: int, wish: Wish, run: Callable[[UnknownRepository, Holder], None]
) -> None:
    wanted = UnknownRepository.objects.wanted().filter(wish=wish)
    row = wanted.claim(repository_id, settings.BUILD_LEASE_SECONDS)
    if row is None:
        return
    carry_out(
        row,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: run(row, holder),
        fail=lambda error: put_back(row, error),
        broke=BuildError(
            "It broke on the platform's side; the worker's log says where.",
            hint="Tell the developers.",
        ),
    )


def put_back(row: UnknownRepository, error: DomainError) -> None:
    """What the registry refuses is tried again; anything else waits for another decision."""
    log.warning("The repository %s: %s", row, error)
    again = not isinstance(error, BuildError | Conflict)
    pause = pause_after(row.attempts) if again else timedelta()
    row.put_back(
        timezone.now() + pause,
        wish=row.wish if again else Wish.NONE,
        **error_columns(error),
    )


def repository_named(row: UnknownRepository) -> str:
    prefix = naming.effective_prefix()
    return naming.guard(prefix, f"{prefix}/{row.name}")


def is_known(row: UnknownRepository) -> bool:
    """Whether an image or a base image has come by the name since."""
    return (
        ManagedImage.objects.filter(name=row.name).exists()
        or BaseImage.objects.filter(repository=repository_named(row)).exists()
    )


def delete_claimed(row: UnknownRepository, holder: Holder) -> None:
    if is_known(row):
        raise Conflict(f"{row.name} is the repository of an image now, so it was left alone.")
    holder.check()
    # A worker that was paused in the middle is taken for dead, and would go on with the next repository of
    # the name: its database session holds the lock until then.
    with exclusive_if_free("unknown-repository", row.pk) as free:
        if not free:
            raise RegistryUnavailable(
                f"Another worker is still deleting {row.name}.",
                hint="If it stays so, end the registry worker that hangs.",
            )
        row.confirm()
        control = connection.control()
        refuse_changed(row, control)
        control.delete_repository(repository_named(row))
    with transaction.atomic():
        row.succeed()
        actor = Actor(row.wished_by) if row.wished_by else None
        record("repository.deleted", actor, object_type="repository", object_name=row.name)


def refuse_changed(row: UnknownRepository, control: RepositoryControl) -> None:
    """The wish was about what the repository held then. Raises `Conflict` if it holds more by now."""
    try:
        present = control.describe_images(repository_named(row))
    except RegistryNotFound:
        return
    now = unknown(row.name, present)
    later = now.pushed_at is not None and (row.pushed_at is None or now.pushed_at > row.pushed_at)
    if not later and set(now.tags) <= set(row.tags):
        return
    row.write(tags=list(now.tags), size_bytes=now.size_bytes, pushed_at=now.pushed_at)
    raise Conflict(
        f"{row.name} holds other images than when its deletion was asked for, so it was left alone.",
        hint="Look at its builds, and adopt or delete it again.",
    )


# --- adoption ---------------------------------------------------------------------------------------------


def adopt_claimed(row: UnknownRepository, holder: Holder) -> None:
    numbers = sorted({number for tag in row.tags if (number := build_number(tag)) is not None})
    if not numbers:
        raise NotAdoptable(f"The repository {row.name} has no build in it.", hint="Delete it.")
    with connection.registry_client() as client:
        claimed = newest_claims(client, row, numbers, holder.check)
        refuse_incomplete(client, claimed, holder)
    with transaction.atomic():
        image = make_rows(row, claimed, numbers[-1])
        row.succeed()
    log.info("The image %s is adopted from the registry.", image.name)


def newest_claims(
    client: RegistryClient,
    row: UnknownRepository,
    numbers: list[int],
    check: Callable[[], None],
) -> ClaimedImage:
    """The newest build that was finished: one that was still pushed has no provenance."""
    first: NotAdoptable | None = None
    for number in reversed(numbers):
        try:
            return read_claims(client, repository_named(row), row.name, number, check)
        except NotAdoptable as error:
            first = first or error
    assert first is not None
    raise first


def refuse_incomplete(client: RegistryClient, claimed: ClaimedImage, holder: Holder) -> None:
    promise = Promise(
        claimed.name,
        naming.image_repository(naming.effective_prefix(), claimed.name),
        f"build-{claimed.number}",
        claimed.manifest.digest,
        claimed.number,
    )
    pace = Pace(settings.VERIFY_REQUESTS_PER_SECOND)
    with Look(client, pace=pace, check=holder.check) as look:
        if found := look.at(promise):
            raise NotAdoptable(f"It is not whole. {found[0].said}", hint="Delete it.")


def make_rows(row: UnknownRepository, claimed: ClaimedImage, last: int) -> ManagedImage:
    """The rows as a build that succeeded leaves them; organization administrators own a new image."""
    image = known_image(claimed) if row.of_known_image else new_image(claimed)
    build = record_build(
        image,
        claimed,
        claimed.number,
        requested_by=row.wished_by,
        lock=claimed.lock.text,
        manifest_digest=claimed.manifest.digest,
        config_digest=claimed.config_digest,
        size_bytes=claimed.size_bytes,
        **end_columns(WorkState.SUCCEEDED),
    )
    if last > claimed.number:
        # Its tag is taken, so no further build may have its number.
        record_build(image, claimed, last, **end_columns(WorkState.CANCELLED))
    record_contents(image, build, claimed)
    status = Status.READY if claimed.base.is_current else Status.OUTDATED
    image.current_build, image.status, image.size_bytes = build, status, build.size_bytes
    image.save(update_fields=["current_build", "status", "size_bytes"])
    point_latest_at(build, image)
    import_checks.ask_for(image, build)
    actor = Actor(row.wished_by) if row.wished_by else None
    details = {"build": build.number, "digest": build.manifest_digest}
    record(
        "image.adopted",
        actor,
        object_type=image.audit_type,
        object_name=image.name,
        details=details,
    )
    announce_ready(image, build)
    return image


def new_image(claimed: ClaimedImage) -> ManagedImage:
    now = timezone.now()
    image, created = ManagedImage.objects.get_or_create(
        name=claimed.name,
        defaults={
            **claimed.spec.columns(),
            "description": claimed.description,
            "repository_ready_at": now,
            "tags_may_move": True,
            "entered_at": now,
        },
    )
    if not created:
        raise Conflict(f"There is an image named {claimed.name} by now.")
    return image


def known_image(claimed: ClaimedImage) -> ManagedImage:
    """The image that gets a later build than the records had. Raises `Conflict` if it has moved on."""
    image = ManagedImage.objects.existing().select_for_update().filter(name=claimed.name).first()
    if image is None or image.builds.active().exists():
        raise Conflict(f"{claimed.name} is being built, or was removed.")
    if image.builds.revisions().filter(number__gte=claimed.number).exists():
        raise Conflict(f"{claimed.name} has a later build by now.")
    set_spec(image, claimed.spec)
    if image.repository_ready_at is None:
        # Its first build ended after the backup.
        image.repository_ready_at, image.tags_may_move = timezone.now(), True
        image.repository_error = ""
        image.save(update_fields=["repository_ready_at", "tags_may_move", "repository_error"])
    return image


def record_build(image: ManagedImage, claimed: ClaimedImage, number: int, **values: Any) -> Build:
    """The row of a build; it takes the place of one that only held the number."""
    common = {
        "base_image": claimed.base,
        "spec": claimed.spec,
        "reason": BuildReason.ADOPT,
        "description": claimed.description,
    }
    build, _ = Build.objects.update_or_create(
        image=image, number=number, defaults={**common, **values}
    )
    return build


def record_contents(image: ManagedImage, build: Build, claimed: ClaimedImage) -> None:
    """Libraries, layers and manifest. A layer that the lock does not explain is known by its digest alone.

    The keys are what the image claims. They serve to push the image again, where the digest is looked at;
    builds take no layer whose contents are not known (`known_layers.made_here`).
    """
    target = Target(claimed.base.python_version, claimed.base.platform)
    libraries = image_libraries(claimed.lock, claimed.base, target)
    record_libraries(build, image, libraries)
    for source in claimed.lock.sources:
        build.libraries.filter(name=source.name).update(sha256=claimed.wheels.get(source.name, ""))
    build.library_count = len(libraries)
    build.save(update_fields=["library_count"])
    keep_manifest(build, claimed.manifest.raw, claimed.config)
    keys = {item.title: item.key for item in OSLayer.of(claimed.spec, claimed.base)}
    if not claimed.lock.sources:
        planned = planned_layers(claimed.lock, claimed.base, target)
        keys |= {item.title: item.key for item in planned}
    record_layers(
        build,
        [
            MadeLayer(
                keys.get(item.title) or digest_key(item.descriptor.digest),
                item.descriptor.digest,
                item.diff_id,
                item.descriptor.size,
                item.title[:255],
            )
            for item in claimed.layers
        ],
    )


def digest_key(digest: str) -> str:
    return hashlib.sha256(f"adopted {digest}".encode()).hexdigest()
