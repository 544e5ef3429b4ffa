"""The template context of the layout that surrounds every page."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Template context processor: no queries, so that error pages can use it too."""
    return {
        "images_enabled": settings.IMAGE_REGISTRY_ENABLED,
        "mail_configured": settings.MAIL_CONFIGURED,
    }
