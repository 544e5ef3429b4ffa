"""Django admin for operators: what the registry holds, beside what is recorded."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from images.models import Drift, RefusedRepository, UnknownRepository, Verification
from images.operations import drift as drifts
from images.operations import refused_repositories, unknown_repositories
from ri_platform.operators import ReadOnlyAdmin
from workspaces.admin import apply_to_each


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "by_platform", "deep", "state", "stage", "seen", "total", "requests", "created_at",
        "finished_at", "error_message",
    )  # fmt: skip
    list_filter = ("state", "by_platform")
    ordering = ("-pk",)


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    list_display = (
        "__str__", "codes", "state", "attempts", "due_at", "error_message", "created_at", "finished_at",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("build__image", "base_image")
    search_fields = ("build__image__name",)
    ordering = ("-pk",)
    actions = ("push_again",)

    @admin.action(description="Push selected images again now")
    def push_again(self, request: HttpRequest, chosen: QuerySet[Drift]) -> None:
        apply_to_each(self, request, chosen, drifts.push_again, "is being pushed again")


@admin.register(RefusedRepository)
class RefusedRepositoryAdmin(ReadOnlyAdmin):
    list_display = (
        "repository",
        "error_message",
        "error_hint",
        "since",
        "attempts",
        "tried_at",
        "due_at",
    )
    search_fields = ("repository",)
    ordering = ("since",)
    actions = ("try_again",)

    @admin.action(description="Try selected repositories again now")
    def try_again(self, request: HttpRequest, chosen: QuerySet[RefusedRepository]) -> None:
        apply_to_each(self, request, chosen, refused_repositories.try_again, "is being tried again")


@admin.register(UnknownRepository)
class UnknownRepositoryAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "wish", "pushed_at", "error_message", "created_at", "seen_at")
    list_filter = ("state",)
    search_fields = ("name",)
    ordering = ("name",)
    actions = ("adopt", "delete_repositories")

    @admin.action(description="Adopt selected repositories")
    def adopt(self, request: HttpRequest, chosen: QuerySet[UnknownRepository]) -> None:
        apply_to_each(
            self, request, chosen,
            lambda actor, row: unknown_repositories.adopt_repository(actor, row.name),
            "is being adopted",
        )  # fmt: skip

    @admin.action(description="Delete selected repositories, with all in them")
    def delete_repositories(
        self, request: HttpRequest, chosen: QuerySet[UnknownRepository]
    ) -> None:
        apply_to_each(
            self, request, chosen,
            lambda actor, row: unknown_repositories.delete_unknown_repository(actor, row.name),
            "is being deleted",
        )  # fmt: skip
