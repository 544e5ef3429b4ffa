"""Django admin for operators: who there is. Operators are superusers who administer the organization."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from workspaces.models import ApiToken, AuditEvent, Membership, User, Workspace

admin.site.site_header = admin.site.site_title = "RI Platform for operators"


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Shown, never edited: operations change these, and keep their invariants."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(admin.TabularInline[Membership, Workspace]):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(User)
class AccountAdmin(UserAdmin[User]):
    list_display = ("username", "role", "is_active", "last_login")
    list_filter = ("role", "is_active")
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Instance role", {"fields": ("role",)}))


@admin.register(Workspace)
class WorkspaceAdmin(admin.ModelAdmin[Workspace]):
    list_display = ("name", "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "event", "username", "object_type", "object_name", "address")
    list_filter = ("event",)
    search_fields = ("username", "object_name")


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
