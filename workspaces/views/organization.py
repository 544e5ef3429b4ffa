"""The organization settings: General, Members, all API Access Tokens, and the audit log."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from ri_platform.address import console_of
from ri_platform.confirm import confirm
from ri_platform.errors import DomainError, Invalid
from ri_platform.forms import add_refusal, render_form
from ri_platform.pages import page_asked_for, page_in_order, places_in
from workspaces import audit, audit_export
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.forms import AccountForm, AccountRoleForm, AuditFilterForm, OrganizationForm
from workspaces.guard import needs
from workspaces.models import ApiToken, Organization, User, Workspace
from workspaces.operations import accounts, organization, tokens
from workspaces.operations.password_mail import can_be_mailed, mail_password_link

PAGE_SIZE = 50
ALL_TOKENS = ("workspace__name", "name", "id")


@needs(Action.SEE_ORGANIZATION, to_post=Action.EDIT_ORGANIZATION)
@require_http_methods(["GET", "POST"])
def general(request: HttpRequest) -> HttpResponse:
    initial = {"time_zone": Organization.get().time_zone}
    form = OrganizationForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        organization.change_time_zone(Actor.of(request), form.cleaned_data["time_zone"])
        messages.success(request, "The organization's settings were saved.")
        return redirect("organization")
    context = {
        "form": form,
        "section": "organization",
        "pane": "general",
        "workspace_count": Workspace.objects.count(),
        "version": settings.VERSION,
        "account_count": User.objects.filter(is_active=True).count(),
    }
    return render_form(request, "organization/general.html", context)


# --- accounts -------------------------------------------------------------------------------------------


@needs(Action.SEE_ORGANIZATION)
@require_GET
def account_list(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip()[:100]
    page = page_asked_for(accounts.search(search), ("username",), PAGE_SIZE, request.GET)
    context = {
        "section": "organization",
        "pane": "accounts",
        "page": page,
        "search": search,
        "appoints": allows(Actor.of(request), Action.APPOINT_ADMINISTRATORS),
        "refusal": TABLE[Action.APPOINT_ADMINISTRATORS].refusal,
    }
    return render(request, "organization/accounts.html", context)


@needs(Action.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "POST"])
def create_account(request: HttpRequest) -> HttpResponse:
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = accounts.create_account(
                Actor.of(request),
                form.cleaned_data["username"],
                email=form.cleaned_data["email"],
                role=form.cleaned_data["role"],
            )
        except DomainError as error:
            add_refusal(form, error)
        else:
            return offer_password_link(request, user)
    context = {"section": "organization", "pane": "accounts", "form": form}
    return render_form(request, "organization/create_account.html", context)


@needs(Action.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "POST"])
def change_role(request: HttpRequest, user_id: int) -> HttpResponse:
    actor = Actor.of(request)
    account = accounts.account_of(actor, user_id)
    form = AccountRoleForm(request.POST or None, initial={"role": account.role})
    if request.method == "POST" and form.is_valid():
        try:
            accounts.change_role(actor, account, form.cleaned_data["role"])
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, f"{account.username} was saved.")
            return redirect("accounts")
    context = {"section": "organization", "pane": "accounts", "form": form, "account": account}
    return render_form(request, "organization/change_role.html", context)


@needs(Action.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "POST"])
def reset_password(request: HttpRequest, user_id: int) -> HttpResponse:
    account = accounts.account_of(Actor.of(request), user_id)
    if request.method == "POST":
        if request.POST.get("by") == "hand":
            return show_password_link(request, account)
        return offer_password_link(request, account)
    verb = "Mail a link" if can_be_mailed(account) else "Make a link"
    return ask_about(request, account, "Reset this password?", verb, "reset_password")


def offer_password_link(request: HttpRequest, account: User) -> HttpResponse:
    """Mail the link to the account's owner; where that cannot be, show it to be handed over."""
    if not can_be_mailed(account):
        return show_password_link(request, account)
    mail_password_link(Actor.of(request), account, console_of(request))
    return redirect("password_mail", user_id=account.pk)


def show_password_link(request: HttpRequest, account: User) -> HttpResponse:
    """The link for the account's owner. Only this answer contains it."""
    uid, token = accounts.password_link(Actor.of(request), account)
    link = request.build_absolute_uri(reverse("choose_password", args=[uid, token]))
    context = {"section": "organization", "pane": "accounts", "account": account, "link": link}
    response = render(request, "organization/password_link.html", context)
    response["Cache-Control"] = "no-store"
    return response


@needs(Action.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "POST"])
def deactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    account = accounts.account_of(Actor.of(request), user_id)
    if request.method == "POST":
        accounts.deactivate_account(Actor.of(request), account)
        messages.success(request, f"{account.username} can no longer sign in.")
        return redirect("accounts")
    return ask_about(request, account, "Deactivate this account?", "Deactivate", "deactivate")


@needs(Action.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "POST"])
def remove_second_factors(request: HttpRequest, user_id: int) -> HttpResponse:
    account = accounts.account_of(Actor.of(request), user_id)
    if request.method == "POST":
        accounts.remove_second_factors(Actor.of(request), account)
        messages.success(request, f"{account.username} signs in with the password alone now.")
        return redirect("accounts")
    return ask_about(
        request, account, "Remove second factors?", "Remove them", "remove_second_factors"
    )


@needs(Action.MANAGE_ACCOUNTS)
@require_POST
def reactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    actor = Actor.of(request)
    account = accounts.reactivate_account(actor, accounts.account_of(actor, user_id))
    messages.success(request, f"{account.username} can sign in again.")
    return redirect("accounts")


def ask_about(
    request: HttpRequest, account: User, title: str, verb: str, words: str
) -> HttpResponse:
    return confirm(
        request,
        title=title,
        verb=verb,
        words=f"organization/_{words}_words.html",
        back=reverse("accounts"),
        layout="layouts/organization.html",
        context={
            "section": "organization",
            "pane": "accounts",
            "account": account,
            "by_mail": can_be_mailed(account),
        },
    )


# --- tokens ---------------------------------------------------------------------------------------------


@needs(Action.SEE_ORGANIZATION)
@require_GET
def token_list(request: HttpRequest) -> HttpResponse:
    found = ApiToken.objects.select_related("user", "workspace")
    context = {
        "section": "organization",
        "pane": "tokens",
        "page": page_asked_for(found, ALL_TOKENS, PAGE_SIZE, request.GET),
        "count": tokens.living_tokens().count(),
        "limit": tokens.limit(),
    }
    return render(request, "organization/tokens.html", context)


# --- audit log ------------------------------------------------------------------------------------------


@needs(Action.SEE_AUDIT_LOG)
@require_GET
def audit_log(request: HttpRequest) -> HttpResponse:
    form = AuditFilterForm(request.GET or None)
    events = audit.events(**filters_of(form))
    # It is not counted: a filter by days may leave very many.
    place = places_in(request.GET)
    context = {
        "section": "organization",
        "pane": "audit",
        "form": form,
        "page": page_in_order(events, ("id",), PAGE_SIZE, descending=True, **place),
        "kept": settings.AUDIT_DAYS,
    }
    return render(request, "organization/audit.html", context)


@needs(Action.SEE_AUDIT_LOG)
@require_GET
def export_audit_log(request: HttpRequest) -> StreamingHttpResponse:
    """Stream the same events as CSV, and record the export as an event."""
    form = AuditFilterForm(request.GET or None)
    if form.errors:
        raise Invalid(
            "These filters cannot be read.", hint="Choose them on the page of the audit log."
        )
    return audit_export.export(Actor.of(request), filters_of(form))


def filters_of(form: AuditFilterForm) -> dict[str, Any]:
    return form.cleaned_data if form.is_bound and form.is_valid() else {}
