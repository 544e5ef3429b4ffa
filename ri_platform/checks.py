"""What `manage.py check --deploy` says about this installation, in sentences."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def secrets_are_this_installations_own(**kwargs: Any) -> list[CheckMessage]:
    """A key that is made anew with each process ends all sessions with it, and two processes disagree."""
    if settings.SECRET_KEY_SET:
        return []
    return [
        Error(
            "RI_SECRET_KEY is not set, so each process makes a key of its own.",
            hint="Set RI_SECRET_KEY, or RI_SECRET_KEY_FILE to a file that holds it.",
            id="ri_platform.E001",
        )
    ]
