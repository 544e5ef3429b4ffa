"""The routes of sign-in and of one's own account, each with an entry in the access table.

The names are django-allauth's, because its views redirect to one another by name. Routes of django-allauth
that are not listed here (sign-up, e-mail confirmation, password reset) do not exist: administrators create
accounts and password links, and `workspaces.views.password_mail` mails links.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.openid_connect import views as oidc
from allauth.socialaccount.providers.saml import views as saml
from django.db import transaction
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from workspaces.access import Action
from workspaces.guard import needs, public
from workspaces.sign_in.choosing import ChoosePassword
from workspaces.sign_in.single_sign_on import leading_to_provider
from workspaces.views import own_account


def for_own_account(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view of one's own account. Its changes and its audit event are one transaction.

    No browser stores its pages, since some show a secret: recovery codes, an authenticator's key.
    """
    return needs(Action.MANAGE_OWN_ACCOUNT)(never_cache(transaction.atomic(view)))


OIDC = "signin/oidc/<str:provider_id>"
SAML = "signin/saml/<str:organization_slug>"
CODES = "account/recovery-codes"

urlpatterns = [
    path("signin", public(account.login), name="account_login"),
    path("signin/code", public(mfa.authenticate), name="mfa_authenticate"),
    path("signin/passkey", public(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("signin/inactive", public(account.account_inactive), name="account_inactive"),
    path("signin/cancelled", public(social.login_cancelled), name="socialaccount_login_cancelled"),
    path("signin/error", public(social.login_error), name="socialaccount_login_error"),
    path(f"{OIDC}", public(leading_to_provider(oidc.login)), name="openid_connect_login"),
    path(f"{OIDC}/callback", public(oidc.callback), name="openid_connect_callback"),
    path(f"{SAML}", public(leading_to_provider(saml.login)), name="saml_login"),
    path(f"{SAML}/acs", public(saml.acs), name="saml_acs"),
    path(f"{SAML}/acs/finish", public(saml.finish_acs), name="saml_finish_acs"),
    path(f"{SAML}/sls", public(saml.sls), name="saml_sls"),
    path(f"{SAML}/metadata", public(saml.metadata), name="saml_metadata"),
    path("signout", public(account.logout), name="account_logout"),
    path("password/<uidb64>/<token>", public(ChoosePassword.as_view()), name="choose_password"),
    path("account", own_account.profile, name="own_account"),
    path("account/sessions", own_account.sessions, name="own_sessions"),
    path("account/security", for_own_account(mfa.index), name="mfa_index"),
    path(
        "account/password", for_own_account(account.password_change), name="account_change_password"
    ),
    # Users of an identity provider have no password here and cannot set one.
    path(
        "account/password/none",
        for_own_account(RedirectView.as_view(pattern_name="mfa_index")),
        name="account_set_password",
    ),
    path("account/confirm", for_own_account(account.reauthenticate), name="account_reauthenticate"),
    path("account/confirm/code", for_own_account(mfa.reauthenticate), name="mfa_reauthenticate"),
    path(
        "account/confirm/passkey",
        for_own_account(passkeys.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("account/authenticator", for_own_account(totp.activate_totp), name="mfa_activate_totp"),
    path(
        "account/authenticator/remove",
        for_own_account(totp.deactivate_totp),
        name="mfa_deactivate_totp",
    ),
    path(
        CODES, for_own_account(recovery_codes.view_recovery_codes), name="mfa_view_recovery_codes"
    ),
    path(
        f"{CODES}/new",
        for_own_account(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        f"{CODES}.txt",
        for_own_account(recovery_codes.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    path(
        "account/passkeys",
        for_own_account(RedirectView.as_view(pattern_name="mfa_index")),
        name="mfa_list_webauthn",
    ),
    path("account/passkeys/new", for_own_account(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path(
        "account/passkeys/<int:pk>",
        for_own_account(passkeys.edit_webauthn),
        name="mfa_edit_webauthn",
    ),
    path(
        "account/passkeys/<int:pk>/remove",
        for_own_account(passkeys.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
]
