"""The base of Django admin for operators: its permissions and the common parts of its pages."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

# The last page that can be reached; a search finds the other rows.
COUNTED = 10_000


class OperatorsSite(admin.AdminSite):
    """The site for superusers who are also organization administrators; one alone does not suffice."""

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
        """Redirect to the console's sign-in, so that the same rules apply."""
        if request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), settings.LOGIN_REDIRECT_URL)
        target = request.GET.get("next", "")
        return redirect_to_login(target if target.startswith("/") else "/", settings.LOGIN_URL)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Redirect to the console's sign-out, which asks first."""
        return redirect("account_logout")

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Redirect to the console's page, which records an audit event."""
        return redirect("account_change_password")


class CappedPaginator(Paginator[Any]):
    """Counts only up to a limit, since a full count reads the whole table."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:COUNTED].count()


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """A read-only admin: only operations change rows, and keep their invariants."""

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = list_max_show_all = 50
    # Counts beside each filter would read the whole table once for each.
    show_facets = admin.ShowFacets.NEVER
    # Relations that pages of other models link to this list by (`link_to`).
    linked_by: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only the page's own filters and the links from other lists.

        Django allows any field of the model and any comparison, also of fields that are not shown. An
        address such as `?password__startswith=…` would find out a secret letter by letter.
        """
        offered = {getattr(item, "parameter_name", item) for item in self.list_filter}
        field = lookup.partition("__")[0]
        return lookup in self.linked_by or field in offered

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def link_to(route: str, words: str, **query: object) -> str:
    """A link to another list of the admin, for related rows that do not fit the page."""
    return format_html('<a href="{}?{}">{}</a>', reverse(route), urlencode(query), words)
