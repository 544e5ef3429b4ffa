"""What `manage.py check` says about roles that an identity provider gives."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from workspaces.models import InstanceRole


@register
def roles_are_known(**kwargs: Any) -> list[CheckMessage]:
    """A role that does not exist would otherwise be found out when somebody signs in."""
    unknown = sorted(set(settings.SSO_ROLES.values()) - set(InstanceRole.values))
    if not unknown:
        return []
    return [
        Error(
            f"RI_SSO_ROLES gives roles that do not exist: {', '.join(unknown)}.",
            hint=f"There are {', '.join(InstanceRole.values)}.",
            id="workspaces.E001",
        )
    ]
