"""What `manage.py check` says about the registry's configuration, in sentences."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from images.registry.naming import normalize_prefix


@register
def repository_prefix_is_usable(**kwargs: Any) -> list[CheckMessage]:
    try:
        normalize_prefix(settings.REPOSITORY_PREFIX)
    except ValueError as error:
        return [
            Error(
                f"RI_REPOSITORY_PREFIX cannot be used: {error}",
                hint="Leave it empty for the default, rime-managed-images.",
                id="images.E001",
            )
        ]
    return []
