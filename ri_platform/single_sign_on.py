"""Single sign-on from the environment: one OpenID Connect provider, one SAML provider, or both.

It is imported while the settings load, so it imports nothing of Django. It returns the structure of
django-allauth's `SOCIALACCOUNT_PROVIDERS`.
"""

from __future__ import annotations

import json
from typing import Any

from ri_platform.env import Env

OIDC, SAML = "oidc", "saml"
# SAML attribute names of a user's data: X.500 object identifiers, addresses, or plain names.
# The user's identifier is the subject-id, or else the assertion's NameID.
ATTRIBUTES = {
    "uid": ["urn:oasis:names:tc:SAML:attribute:subject-id"],
    "username": [
        "urn:oid:0.9.2342.19200300.100.1.1",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "urn:mace:dir:attribute-def:uid",
        "uid",
        "username",
    ],
    "email": [
        "urn:oid:0.9.2342.19200300.100.1.3",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "urn:mace:dir:attribute-def:mail",
        "mail",
        "email",
    ],
    "email_verified": ["email_verified"],
}


def providers(env: Env) -> dict[str, Any]:
    """The configured providers as `SOCIALACCOUNT_PROVIDERS`; empty without single sign-on."""
    link = env.flag(
        "RI_SSO_LINK_VERIFIED_EMAIL",
        default=False,
        help="Let somebody in by the account that has the address which the provider has verified.",
    )
    found = {"openid_connect": oidc(env, link), "saml": saml(env, link)}
    return {provider: told for provider, told in found.items() if told}


def oidc(env: Env, link: bool) -> dict[str, Any]:
    server = env.url(
        "RI_OIDC_SERVER_URL", help="Issuer of the OpenID Connect provider; empty means none."
    )
    name = env.text("RI_OIDC_NAME", "single sign-on", help="What its button says.")
    client_id = env.text("RI_OIDC_CLIENT_ID", help="The platform's name at the provider.")
    secret = env.secret("RI_OIDC_CLIENT_SECRET", help="The platform's secret at the provider.")
    if not server:
        return {}
    return {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": OIDC,
                "name": name,
                "client_id": client_id,
                "secret": secret,
                "settings": {"server_url": server, "email_authentication": link},
            }
        ],
    }


def saml(env: Env, link: bool) -> dict[str, Any]:
    entity = env.text(
        "RI_SAML_IDP_ENTITY_ID", help="Entity id of the SAML identity provider; empty means none."
    )
    name = env.text("RI_SAML_NAME", "single sign-on", help="What its button says.")
    idp = {
        "entity_id": entity,
        "metadata_url": env.url(
            "RI_SAML_IDP_METADATA_URL", help="Where its metadata is; or the next two instead."
        ),
        "sso_url": env.url("RI_SAML_IDP_SSO_URL", help="Where it signs people in."),
        "x509cert": env.secret("RI_SAML_IDP_CERTIFICATE", help="The certificate that it signs by."),
    }
    if not entity:
        return {}
    return {
        "APPS": [
            {
                "client_id": SAML,
                "provider_id": SAML,
                "name": name,
                "settings": {
                    "idp": {name: value for name, value in idp.items() if value},
                    "email_authentication": link,
                    "attribute_mapping": ATTRIBUTES,
                    # Assertions are accepted only with the provider's signature.
                    "advanced": {"want_assertion_signed": True},
                },
            }
        ]
    }


def roles(env: Env) -> dict[str, str]:
    """`RI_SSO_ROLES`, a JSON object: what the claim may hold, and the instance role it gives."""

    def parse(text: str) -> dict[str, str]:
        mapping = json.loads(text)
        if not isinstance(mapping, dict) or not all(
            isinstance(role, str) for role in mapping.values()
        ):
            raise ValueError('it must be a JSON object such as {"ml-admins": "org_admin"}')
        return mapping

    return env.parse_value(
        "RI_SSO_ROLES",
        parse,
        {},
        kind="JSON object",
        help='What that claim may hold, and the role it gives: `{"ml-admins": "org_admin"}`.',
    )
