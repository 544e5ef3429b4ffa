"""The library's forms for passkeys, where it tells nobody that one was refused or renamed."""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
)
from django import forms

from ri_platform.address import client_address
from workspaces import audit, own_account
from workspaces.access import Actor

NAME_LENGTH = 100


class Refusals:
    """A form whose `credential` is a passkey's answer: one that is refused is a failed sign-in."""

    user: Any

    def clean_credential(self) -> Authenticator:
        try:
            accepted: Authenticator = super().clean_credential()  # type: ignore[misc]
        except forms.ValidationError:
            name = self.user.get_username() if self.user else ""
            audit.record_sign_in(
                "session.failed", name, client_address(context.request), self.user, by=["webauthn"]
            )
            raise
        return accepted


class PasskeySignInForm(Refusals, LoginWebAuthnForm):
    """Signing in with a passkey alone."""


class PasskeySecondStepForm(Refusals, AuthenticateWebAuthnForm):
    """A passkey after the password."""


class AddPasskeyForm(AddWebAuthnForm):
    name = forms.CharField(required=False, max_length=NAME_LENGTH)


class RenamePasskeyForm(EditWebAuthnForm):
    name = forms.CharField(max_length=NAME_LENGTH)

    def save(self) -> Authenticator:
        """In the view's transaction."""
        before = self.instance.wrap().name
        renamed: Authenticator = super().save()
        own_account.record(
            "account.second_factor_renamed",
            Actor.of(context.request),
            before=before,
            name=self.cleaned_data["name"],
        )
        return renamed
