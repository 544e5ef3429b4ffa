"""Django admin for operators: who may enter, and what every page of it has in common."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

# No page is paged to further; who looks for one row among more searches for it.
COUNTED = 10_000


class OperatorsSite(admin.AdminSite):
    """For superusers who administer the organization; both, since either alone is somebody else's grant."""

    site_header = site_title = "RI Platform for operators"
    index_title = "What there is"

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return bool(
            user.is_active
            and user.is_superuser
            and getattr(user, "is_organization_administrator", False)
        )

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """There is one way to sign in, with one set of rules."""
        if request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), settings.LOGIN_REDIRECT_URL)
        target = request.GET.get("next", "")
        return redirect_to_login(target if target.startswith("/") else "/", settings.LOGIN_URL)


class CappedPaginator(Paginator[Any]):
    """Counts no further than anybody pages: a full count reads the whole table."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:COUNTED].count()


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Shown, never edited: operations change these, and keep their invariants."""

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
