"""Entering an image's name in the registry's own list, once, for databases that are older than the image."""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils import timezone

from images.building.cache import work_folder
from images.errors import RegistryError
from images.models import ManagedImage
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.verification import names

log = logging.getLogger(__name__)


def enter(image: ManagedImage, client: RegistryClient | None = None) -> None:
    """Enter the name if it is not entered yet. What the registry refuses is left to the next look."""
    if image.entered_at is not None:
        return
    try:
        with work_folder(settings.CACHE_DIR, f"name-{image.pk}") as work:
            if client is not None:
                names.enter(client, naming.effective_prefix(), image.name, work)
            else:
                with connection.registry_client() as own:
                    names.enter(own, naming.effective_prefix(), image.name, work)
    except RegistryError as error:
        log.warning("The name %s is not entered in the registry yet: %s", image.name, error)
        return
    ManagedImage.objects.filter(pk=image.pk).update(entered_at=timezone.now())
