"""Importing a base image: from a registry, a layout, a rootfs or a suite, into our registry."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.building.bases import content as base_images
from images.building.bases.inspection import BaseImageFacts
from images.building.bases.source import obtain
from images.building.cache import work_folder
from images.building.push import blobs as push
from images.catalogue import catalogue
from images.errors import BaseImageUnusable
from images.jobs import catalogue_image, upgrades
from images.jobs.leased import Holder, carry_out
from images.models import BaseImage, Build, ImageType, ManagedImage, Status
from images.models.base_image import BaseImageQuerySet
from images.models.base_source import CATALOGUE, Source
from images.models.drift import keep_manifest
from images.models.lease import WorkState
from images.operations.base_images import import_base_image
from images.queries import base_image_notices
from images.registry import connection
from ri_platform.errors import Conflict, DomainError

logger = logging.getLogger(__name__)


def run(base_image_id: int) -> None:
    """Claim a base image and import it; nothing happens if there is nothing to claim."""
    base = claim(base_image_id)
    if base is not None:
        run_claimed(base)


def startable() -> BaseImageQuerySet:
    """Imports whose repository is there."""
    return BaseImage.objects.claimable().filter(repository_ready_at__isnull=False)


def claim(base_image_id: int) -> BaseImage | None:
    return startable().claim(base_image_id, settings.BUILD_LEASE_SECONDS)


def run_claimed(base: BaseImage) -> None:
    carry_out(
        base,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: attempt(base, holder),
        fail=lambda error: fail(base, error),
        broke=BaseImageUnusable(
            "The import broke on the platform's side; the builds worker's log says where.",
            hint="Import it again; if it fails the same way, tell the developers.",
        ),
    )


def attempt(base: BaseImage, holder: Holder) -> None:
    with work_folder(settings.CACHE_DIR, f"base-{base.pk}") as work:
        make(base, holder, work)


def make(base: BaseImage, holder: Holder, work: Path) -> None:
    source = Source.parse(base.source)
    if source.kind is CATALOGUE:
        use_case = catalogue().use_cases[source.name]
        succeed(base, catalogue_image.make(base, use_case, work, holder.check))
        return
    content = obtain(source, work, holder.check)
    facts = base_images.inspect(content)
    if facts.python_version != base.python_version:
        raise BaseImageUnusable(
            f"The image has Python {facts.python_version}, "
            f"but it was to be imported as Python {base.python_version}.",
            hint="Import it under the version that it has.",
        )
    push_base(base, content, holder, work)
    succeed(base, columns_of(content, facts))


def columns_of(content: base_images.ImageContent, facts: BaseImageFacts) -> dict[str, Any]:
    """The columns of `BaseImage` that describe an imported image."""
    return {
        "manifest_digest": content.manifest.digest,
        "config": dict(content.config),
        "layers": [layer.to_json() for layer in content.layers],
        "size_bytes": facts.size_bytes,
        "python_full_version": facts.full_version,
        "interpreter": facts.interpreter,
        "site_packages": list(facts.site_packages),
        "libraries": [list(pair) for pair in facts.libraries],
        "os_family": facts.os_family,
        "os_name": facts.os_pretty,
        "os_id": facts.os_id,
        "os_packages": [list(pair) for pair in facts.os_packages],
        "os_version": facts.os_version,
        "native": facts.native,
        **(
            {
                "libc": facts.libc.name,
                "libc_version": facts.libc.version,
                "machine": facts.libc.machine,
            }
            if facts.libc
            else {}
        ),
    }


def push_base(
    base: BaseImage, content: base_images.ImageContent, holder: Holder, work: Path
) -> None:
    """Push the image unchanged, so its digest stays the one it had, and read it back."""
    descriptors = base_images.blobs_of(content.manifest)
    blobs = [
        push.BlobToPush(item, "base layer", content.blobs[item.digest]) for item in descriptors
    ]
    manifest = content.manifest
    with connection.registry_client() as client:
        push.push_blobs(
            client, base.repository, blobs, work=work, check=holder.check, log=logger.info
        )
        client.put_manifest(base.repository, base.tag, manifest.raw, manifest.media_type)
        push.verify(client, base.repository, base.tag, manifest.digest, descriptors)
    keep_manifest(base, manifest.raw, content.blobs[descriptors[0].digest].read_bytes())


def succeed(base: BaseImage, columns: dict[str, Any]) -> None:
    """Make it the current base image of its kind, and wake the builds that waited for it."""
    with transaction.atomic():
        siblings = BaseImage.objects.filter(
            image_type=base.image_type, python_version=base.python_version
        )
        list(siblings.select_for_update().order_by("pk"))
        siblings.exclude(pk=base.pk).update(is_current=False)
        base.succeed(is_current=True, **columns)
        outdated = upgrades.mark_outdated(base)
    logger.info("Base image %s is current; %s images are brought up to date.", base, outdated)
    base_image_notices.announce_ready(base)
    if base.image_type == ImageType.ALL:
        follow_root(base)
    for build in Build.objects.startable().filter(base_image=base):
        wake.send(wake.task_of(build), build.pk)


def follow_root(root: BaseImage) -> None:
    """Ask for the catalogue's base images anew that stand on an older version of this root."""
    of_catalogue = BaseImage.objects.current().of_kind(CATALOGUE)
    standing = of_catalogue.filter(python_version=root.python_version)
    for base in standing.exclude(built_on=root):
        try:
            import_base_image(
                None,
                image_type=base.image_type,
                python_version=base.python_version,
                platform_version=root.platform_version,
                source=base.source,
            )
        except Conflict as error:
            logger.warning("The base image %s does not follow %s: %s", base, root, error)


def fail(base: BaseImage, error: DomainError) -> None:
    """Record why; builds that waited for this base image fail with the same reason."""
    with transaction.atomic():
        waiting = Build.objects.filter(base_image=base, state=WorkState.QUEUED)
        owners = list(
            ManagedImage.objects.select_for_update()
            .filter(pk__in=waiting.values("image"))
            .values_list("pk", flat=True)
        )
        base.fail(error)
        waiting.filter(image__in=owners).fail(error)
        ManagedImage.objects.filter(pk__in=owners).update(
            status=Status.FAILED, updated_at=timezone.now()
        )
    base_image_notices.announce_failure(base)
