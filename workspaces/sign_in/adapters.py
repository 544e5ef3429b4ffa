"""The django-allauth adapters of this platform, for sign-ins and for a user's second factors."""

from __future__ import annotations

import base64
import logging
from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from ri_platform.address import client_address, network_of
from ri_platform.errors import TooManyRequests
from workspaces import audit
from workspaces.limits import count_failure, has_failed, refuse_after_failures
from workspaces.models import User
from workspaces.sign_in import single_sign_on

logger = logging.getLogger(__name__)

# The limit of failed passwords of an address, as a multiple of `MAX_FAILED_AUTHENTICATIONS`.
BOUND_OF_AN_ADDRESS = 10
TOO_MANY = "Too many attempts with a wrong password came from your address."


class AccountAdapter(DefaultAccountAdapter):
    """The adapter of passwords: our texts, and our limits instead of the library's."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "The username or the password is wrong.",
        "incorrect_password": "This password is wrong.",
        "too_many_login_attempts": f"{TOO_MANY} Try again in a minute.",
        "incorrect_code": "This code is wrong, or was used already.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Organization administrators create accounts, or an identity provider vouches for them."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address as our own proxies saw it; the unspecified address if it is unknown."""
        return client_address(request) or "::"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse an address that has failed too often with this account.

        The library counts by account only, so that anybody could lock out an account's owner.
        """
        try:
            for key, limit in self._limits(request, credentials).items():
                refuse_after_failures(key, limit, TOO_MANY)
        except TooManyRequests as error:
            raise self.validation_error("too_many_login_attempts") from error

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            for key, limit in self._limits(request, credentials).items():
                count_failure(key, limit, TOO_MANY)
        except TooManyRequests as error:
            raise self.validation_error("too_many_login_attempts") from error

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        """Record a failed sign-in: the credentials are right, but the account is deactivated."""
        if not getattr(request, "failure_is_recorded", False):
            address = client_address(request)
            audit.record_sign_in("session.failed", user.username, address, user, why="deactivated")
        answer: HttpResponse = super().respond_user_inactive(request, user)
        return answer

    def _limits(self, request: HttpRequest, credentials: dict[str, Any]) -> dict[str, int]:
        """The allowed failures a minute by key.

        Many users share an address behind a NAT, and one of them must not lock out the others. So an address
        with many failures may still try each account once a minute, up to a bound that protects the server:
        checking a password takes a tenth of a second. Sign-in ignores the case of names, so the keys do, too.
        """
        address = network_of(client_address(request))
        username = credentials.get("username", "").lower()
        here, everywhere = f"signin {address} {username}", f"signin {address}"
        suspicious = has_failed(everywhere, settings.MAX_FAILED_AUTHENTICATIONS)
        return {
            here: 1 if suspicious else settings.MAX_FAILED_SIGN_INS,
            everywhere: settings.MAX_FAILED_AUTHENTICATIONS * BOUND_OF_AN_ADDRESS,
        }


class SecondFactorAdapter(DefaultMFAAdapter):
    """The adapter of second factors. It encrypts their secrets with a key derived from `SECRET_KEY`."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is wrong, or was used already.",
    }

    def encrypt(self, text: str) -> str:
        return self._cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return self._cipher().decrypt(encrypted_text.encode()).decode()

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        return "Passkey"

    def _cipher(self) -> MultiFernet:
        return MultiFernet(
            [_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
        )


def _fernet(secret: str) -> Fernet:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"second factors")
    return Fernet(base64.urlsafe_b64encode(derive.derive(secret.encode())))


class SingleSignOnAdapter(DefaultSocialAccountAdapter):
    """The adapter of single sign-on: the first sign-in creates the account, and a claim gives its role."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.is_existing:
            single_sign_on.follow_role(cast(User, sociallogin.user), claims_of(sociallogin))

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        with transaction.atomic():
            user = cast(User, sociallogin.user)
            user.role = single_sign_on.role_of(claims_of(sociallogin)) or user.role
            super().save_user(request, sociallogin, form)
            single_sign_on.record_first_sign_in(user, client_address(request))
        return user

    def get_requests_session(self) -> Any:
        """The library's session, with a limit on the size of an answer."""
        # Imported only when somebody signs in by a provider, as in the library.
        from workspaces.sign_in.provider_session import bound_session

        return bound_session(super().get_requests_session())

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Log the reason for operators, in one escaped line; the page only says that it failed."""
        why = exception or (extra_context or {}).get("saml_last_error_reason") or error
        logger.warning("single sign-on failed: %r", str(why)[:500])
        audit.record_sign_in("session.failed", "", client_address(request), None)


def claims_of(sociallogin: SocialLogin) -> dict[str, Any]:
    """OpenID Connect's claims (the user info's before the ID token's), or SAML's attributes."""
    told = sociallogin.account.extra_data
    return {**(told.get("id_token") or {}), **(told.get("userinfo") or told)}
