"""Links to choose a password by mail: what became of one, and the page for who forgot a password."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from ri_platform.address import client_address, console_of
from ri_platform.errors import NotFound
from ri_platform.forms import render_form
from ri_platform.middleware import wants_fragment
from ri_platform.text import OneLineField
from workspaces.access import Action, Actor
from workspaces.guard import needs, public
from workspaces.models import MailState
from workspaces.operations import accounts
from workspaces.operations.password_mail import ask_for_password_link


@require_GET
@needs(Action.MANAGE_ACCOUNTS)
def password_mail(request: HttpRequest, user_id: int) -> HttpResponse:
    """What became of the newest mail to an account; the page looks again as long as it waits."""
    account = accounts.account_of(Actor.of(request), user_id)
    mail = account.password_mails.filter(asked_by_owner=False).order_by("-pk").first()
    context = {
        "section": "organization",
        "pane": "accounts",
        "account": account,
        "mail": mail,
        "poll": mail is not None and mail.state == MailState.WAITING,
    }
    part, page = "organization/_password_mail.html", "organization/password_mail.html"
    return render(request, part if wants_fragment(request) else page, context)


class ForgottenForm(forms.Form):
    name = OneLineField(
        label="Username or e-mail address",
        max_length=254,
        widget=forms.TextInput(
            attrs={
                "class": "form-control",
                "autocomplete": "username",
                "autocapitalize": "none",
                "autofocus": True,
            }
        ),
    )


@public
@require_http_methods(["GET", "POST"])
def forgot_password(request: HttpRequest) -> HttpResponse:
    """Ask for a link by mail. The answer does not depend on whether there is such an account."""
    if not settings.MAIL_CONFIGURED:
        raise NotFound(
            "This instance sends no mail.", hint="Ask an Organization Administrator for a link."
        )
    form = ForgottenForm(request.POST if request.method == "POST" else None)
    asked = request.method == "POST" and form.is_valid()
    if asked:
        ask_for_password_link(
            form.cleaned_data["name"], client_address(request), console_of(request)
        )
    return render_form(request, "account/forgot_password.html", {"form": form, "asked": asked})
