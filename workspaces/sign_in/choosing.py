"""The page where a user chooses a password, reached by a link that an administrator made."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.views import PasswordResetConfirmView
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse_lazy

from ri_platform.address import client_address
from workspaces.access import Actor
from workspaces.models import User
from workspaces.operations import own_account


class ChoosePassword(PasswordResetConfirmView):
    template_name = "workspaces/choose_password.html"
    success_url = reverse_lazy("account_login")

    def form_valid(self, form: Any) -> HttpResponse:
        """The holder of the link counts as the account's owner, although they have not signed in."""
        with transaction.atomic():
            answer = super().form_valid(form)
            owner = Actor(cast(User, self.user), client_address(self.request))
            own_account.record("account.password_changed", owner, by="link")
        return answer
