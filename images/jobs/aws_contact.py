"""Asking AWS for a registry token, as each identity may: the least that shows whether it works."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from images.errors import RegistryError
from images.models import AwsContact
from images.registry import connection


def check(identity: str) -> None:
    """Try with this process's identity, and record how it went."""
    if not settings.IMAGE_REGISTRY_ENABLED:
        return
    now = timezone.now()
    try:
        connection.control().authorization()
    except RegistryError as error:
        AwsContact.objects.update_or_create(
            identity=identity, defaults={"tried_at": now, "problem": str(error)}
        )
    else:
        AwsContact.objects.update_or_create(
            identity=identity, defaults={"tried_at": now, "succeeded_at": now, "problem": ""}
        )
