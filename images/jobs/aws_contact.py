"""Asking AWS for a registry token, as each identity may: the least that shows whether it works.

The registry server also looks whose repositories these are.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils import timezone

from images.errors import AnotherInstance, RegistryError
from images.jobs import instance_mark
from images.models import AwsContact
from images.models.contact import Identity
from images.registry import connection

log = logging.getLogger(__name__)


def check(identity: str) -> None:
    """Try with this process's identity, and record how it went."""
    if not settings.IMAGE_REGISTRY_ENABLED:
        return
    now = timezone.now()
    try:
        connection.control().authorization()
        if identity == Identity.REGISTRY_SERVER:
            instance_mark.look()
    except RegistryError as error:
        if isinstance(error, AnotherInstance):
            log.error("%s", error)
        AwsContact.objects.update_or_create(
            identity=identity, defaults={"tried_at": now, "problem": str(error)}
        )
    else:
        AwsContact.objects.update_or_create(
            identity=identity, defaults={"tried_at": now, "succeeded_at": now, "problem": ""}
        )
