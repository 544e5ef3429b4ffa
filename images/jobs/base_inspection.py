"""Looking once more into base images that were imported when less was asked of them.

Rows of earlier versions know neither their C library nor the native libraries that they provide. Those that
new builds stand on are inspected again, once; nothing of the image changes.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from images import wake
from images.building.bases.inspection import BaseImageFacts, look_into
from images.building.cache import work_folder
from images.building.containers.container import base_layout
from images.jobs.attempt import Attempt
from images.models import BaseImage
from images.models.base_image import BaseImageQuerySet
from images.models.lease import HandOver
from images.registry import connection
from images.registry.distribution.descriptors import hex_of
from ri_platform.errors import DomainError
from ri_platform.locks import exclusive, update_if_free

logger = logging.getLogger(__name__)

# What cannot be read, or whose registry cannot be reached, is tried again.
AGAIN_AFTER = timedelta(hours=1)


def unknown() -> BaseImageQuerySet:
    """Base images for new builds whose native libraries nobody has looked at."""
    return BaseImage.objects.current().filter(native=b"")


def wake_due() -> None:
    """Wake builds workers for the base images that are to be looked into."""
    now = timezone.now()
    for base in unknown().filter(due_at__lt=now):
        if update_if_free(BaseImage.objects.filter(pk=base.pk), due_at=now + AGAIN_AFTER):
            wake.send(wake.Task.INSPECT_BASE_IMAGE, base.pk)


def inspect_again(base_image_id: int) -> None:
    """Look into a base image if its libraries are not known; any number of times, in any worker."""
    with exclusive("base-inspection", base_image_id):
        base = unknown().filter(pk=base_image_id).first()
        if base is None:
            return
        try:
            facts = facts_of(base)
        except HandOver:
            logger.info("The base image %s is left to another worker: this one stops.", base)
            BaseImage.objects.filter(pk=base.pk).update(due_at=timezone.now())
            return
        except DomainError as error:
            logger.warning("The base image %s cannot be looked into: %s", base, error)
            return
        BaseImage.objects.filter(pk=base.pk).update(**columns_learnt(facts))
    logger.info("The base image %s was looked into once more.", base)


def facts_of(base: BaseImage) -> BaseImageFacts:
    """Raises `DomainError` if its layers cannot be had or read, and `HandOver`."""
    attempt = Attempt()
    with work_folder(settings.CACHE_DIR, f"inspection-{base.pk}") as work:
        with connection.registry_client() as client:
            layout = base_layout(
                client, base.repository, base.manifest_digest, work / "layout", attempt.check
            )
        attempt.check()
        blobs = layout / "blobs" / "sha256"
        return look_into(
            [blobs / hex_of(layer["digest"]) for layer in base.layers],
            (base.config.get("config") or {}).get("Env") or [],
            base.size_bytes,
        )


def columns_learnt(facts: BaseImageFacts) -> dict[str, Any]:
    """The columns that rows of earlier versions lack; the others stay as they were imported."""
    found: dict[str, Any] = {
        "native": facts.native,
        "os_id": facts.os_id,
        "os_version": facts.os_version,
        "os_packages": [list(pair) for pair in facts.os_packages],
    }
    if facts.libc:
        found |= {
            "libc": facts.libc.name,
            "libc_version": facts.libc.version,
            "machine": facts.libc.machine,
        }
    return found
