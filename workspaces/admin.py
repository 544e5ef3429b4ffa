"""Django admin for operators: accounts, workspaces, tokens and the audit log. Its actions call operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from ri_platform.errors import DomainError
from ri_platform.operators import ReadOnlyAdmin, link_to
from workspaces.access import Actor
from workspaces.models import ApiToken, AuditEvent, Membership, PasswordMail, User, Workspace
from workspaces.operations import accounts, tokens

# Each of these can be edited there, past the operations and their audit events.
admin.site.unregister(
    [Group, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken, UserSession]
)


# "Select all" of a long list is usually a mistake, and one request would have to process all rows.
AT_ONCE = 100


def apply_to_each(
    page: admin.ModelAdmin[Any],
    request: HttpRequest,
    chosen: QuerySet[Any],
    change: Callable[[Actor, Any], object],
    done: str,
) -> None:
    """Run an operation on each selected row, and report each result."""
    rows = list(chosen[: AT_ONCE + 1])
    if len(rows) > AT_ONCE:
        page.message_user(request, f"Choose at most {AT_ONCE} at a time.", messages.ERROR)
        return
    for row in rows:
        try:
            change(Actor.of(request), row)
        except DomainError as error:
            page.message_user(request, f"{row}: {error}", messages.ERROR)
        else:
            page.message_user(request, f"{row} {done}.", messages.SUCCESS)


@admin.register(User)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("username", "email", "role", "is_active", "is_superuser", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("username", "email")
    exclude = ("password", "groups", "user_permissions")
    actions = ("deactivate", "reactivate", "remove_second_factors")

    @admin.action(description="Deactivate selected accounts")
    def deactivate(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        apply_to_each(self, request, chosen, accounts.deactivate_account, "was deactivated")

    @admin.action(description="Reactivate selected accounts")
    def reactivate(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        apply_to_each(self, request, chosen, accounts.reactivate_account, "was reactivated")

    @admin.action(description="Remove second factors of selected accounts")
    def remove_second_factors(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        apply_to_each(self, request, chosen, accounts.remove_second_factors, "has no second factor")


@admin.register(Workspace)
class WorkspaceAdmin(ReadOnlyAdmin):
    list_display = ("name", "created_at")
    search_fields = ("name",)
    readonly_fields = ("members",)

    @admin.display(description="Members")
    def members(self, workspace: Workspace) -> str:
        """A link to a paged list: a workspace may have any number of members."""
        return link_to("admin:workspaces_membership_changelist", "Show", workspace=workspace.pk)


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("user", "workspace", "role")
    list_filter = ("role",)
    list_select_related = ("user", "workspace")
    search_fields = ("user__username", "workspace__name")
    linked_by = ("workspace",)
    ordering = ("-pk",)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "user",
        "workspace",
        "suffix",
        "created_at",
        "last_used_at",
        "expires_at",
    )
    list_select_related = ("user", "workspace")
    exclude = ("secret_hash",)
    search_fields = ("name", "user__username")
    actions = ("revoke",)

    @admin.action(description="Revoke selected tokens")
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        apply_to_each(
            self,
            request,
            chosen.select_related("workspace", "user"),
            tokens.revoke_token,
            "was revoked",
        )


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "event", "username", "object_type", "object_name", "address")
    search_fields = ("username", "object_name", "event")
    ordering = ("-pk",)


@admin.register(PasswordMail)
class PasswordMailAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "to", "user", "state", "attempts", "error", "due_at")
    list_filter = ("state",)
    list_select_related = ("user",)
    search_fields = ("to", "user__username")
    ordering = ("-pk",)
