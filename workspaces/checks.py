"""System checks (`manage.py check`) of single sign-on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from workspaces.models import InstanceRole


@register
def roles_are_known(**kwargs: Any) -> list[CheckMessage]:
    """Check the mapped roles. Otherwise an unknown role would fail only at a sign-in."""
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


@register
def single_sign_on_is_complete(**kwargs: Any) -> list[CheckMessage]:
    """Check for missing variables. Otherwise the first sign-in would fail."""
    found: list[CheckMessage] = []
    for app in settings.SOCIALACCOUNT_PROVIDERS.get("openid_connect", {}).get("APPS", []):
        missing = [
            name
            for name, value in (
                ("RI_OIDC_CLIENT_ID", app["client_id"]),
                ("RI_OIDC_CLIENT_SECRET", app["secret"]),
            )
            if not value
        ]
        if missing:
            found.append(
                Error(
                    f"RI_OIDC_SERVER_URL is set, but {' and '.join(missing)} is not.",
                    hint="The provider tells both when the platform is registered there.",
                    id="workspaces.E002",
                )
            )
    for app in settings.SOCIALACCOUNT_PROVIDERS.get("saml", {}).get("APPS", []):
        idp = app["settings"]["idp"]
        if not idp.get("metadata_url") and not (idp.get("sso_url") and idp.get("x509cert")):
            found.append(
                Error(
                    "RI_SAML_IDP_ENTITY_ID is set, but nothing says where the provider signs people in.",
                    hint="Set RI_SAML_IDP_METADATA_URL, or RI_SAML_IDP_SSO_URL and RI_SAML_IDP_CERTIFICATE.",
                    id="workspaces.E003",
                )
            )
    return found
