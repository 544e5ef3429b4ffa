"""django-allauth's passkey forms, with signals for refused and renamed passkeys, which it does not send."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import UnsupportedAlgorithm
from django import forms

from ri_platform.address import client_address
from ri_platform.text import OneLineField
from workspaces import audit
from workspaces.access import Actor
from workspaces.operations import own_account

NAME_LENGTH = 100
# In characters. The longest real answers, with attestation certificates, have about 10,000.
ANSWER_LENGTH = 50_000


# Exceptions of the library's parsers of JSON, CBOR and COSE for malformed data.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    struct.error,
)


@contextmanager
def refusing_what_is_unreadable() -> Iterator[None]:
    """Refuse a malformed passkey answer like a wrong one.

    The library expects the structure that browsers send, but a client can send anything.
    """
    try:
        yield
    except forms.ValidationError:
        raise
    except UNREADABLE as error:
        raise get_adapter().validation_error("incorrect_code") from error


class AnswerField(forms.JSONField):
    """A passkey's answer, as the browser's script sends it."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        with refusing_what_is_unreadable():
            if isinstance(value, str) and len(value) > ANSWER_LENGTH:
                raise ValueError
            return super().to_python(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Never redisplay the value: an answer is valid once, for its challenge."""
        return initial


class ReadableAnswer(forms.Form):
    """A form whose `credential` is a passkey's answer."""

    credential = AnswerField()

    def clean_credential(self) -> Authenticator:
        with refusing_what_is_unreadable():
            accepted: Authenticator = super().clean_credential()  # type: ignore[misc]
        return accepted


class Refusals(ReadableAnswer):
    """A form whose `credential` is a passkey's answer. A refused answer is a failed sign-in."""

    user: Any

    def clean_credential(self) -> Authenticator:
        try:
            accepted = super().clean_credential()
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


class PasskeyConfirmationForm(ReadableAnswer, ReauthenticateWebAuthnForm):
    """A passkey as reauthentication of a signed-in user."""


class AddPasskeyForm(AddWebAuthnForm):
    name = OneLineField(
        required=False,
        max_length=NAME_LENGTH,
        help_text="It tells this passkey from your others, for example “Laptop”.",
    )
    credential = AnswerField()

    def clean(self) -> dict[str, Any]:
        with refusing_what_is_unreadable():
            values: dict[str, Any] = super().clean()
        return values


class RenamePasskeyForm(EditWebAuthnForm):
    name = OneLineField(max_length=NAME_LENGTH)

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
