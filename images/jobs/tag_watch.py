"""Watching the tags that base images were imported from: when one moves on, so does the platform."""

from __future__ import annotations

import logging
from datetime import date

from images.building.bases.from_registry import manifest_of
from images.models import BaseImage
from images.models.base_source import REGISTRY, Source
from images.operations import base_images
from images.registry.distribution.client import RegistryClient
from images.registry.reference import parse_reference
from ri_platform.errors import DomainError
from ri_platform.stopping import this_worker

logger = logging.getLogger(__name__)

TIMEOUT = 10.0


def look() -> list[str]:
    """Ask for a new version of each current base image whose tag names another image now.

    Returns the new versions' names. What a worker that was told to stop leaves out is for the next look.
    """
    asked = []
    for base in BaseImage.objects.current().of_kind(REGISTRY):
        source = Source.parse(base.source)
        if this_worker.is_told:
            break
        if not source.has_moving_tag:
            continue
        reference = source.name
        try:
            digest = digest_now(reference)
            if digest == base.manifest_digest:
                continue
            version = f"{date.today():%Y.%m.%d}-{digest.partition(':')[2][:8]}"
            newer = base_images.import_base_image(
                None,
                image_type=base.image_type,
                python_version=base.python_version,
                platform_version=version,
                source=base.source,
            )
        except DomainError as error:
            # Out of reach, or asked for already: the next look will tell.
            logger.info("The tag %s was not followed: %s", reference, error)
        else:
            logger.info("The tag %s moved on: %s is being imported.", reference, newer)
            asked.append(str(newer))
    return asked


def digest_now(reference: str) -> str:
    """The digest that the reference names for our platform. Raises as the registry client does."""
    parsed = parse_reference(reference)
    with RegistryClient(parsed.registry, read_only=True, timeout=TIMEOUT, attempts=2) as client:
        return manifest_of(client, parsed, reference).digest
