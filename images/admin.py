"""Django admin for operators: images, builds and base images, looked at here and changed by operations."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from images import operations
from images.models import (
    BaseImage,
    Build,
    BuildHost,
    Delivery,
    ManagedImage,
    Webhook,
    WheelLayer,
)
from ri_platform.errors import DomainError
from workspaces.access import Action, Actor, allows
from workspaces.admin import ReadOnlyAdmin
from workspaces.models import User


@admin.register(ManagedImage)
class ManagedImageAdmin(ReadOnlyAdmin):
    list_display = ("name", "status", "image_type", "python_version", "created_by", "removed_at")
    list_filter = ("status", "image_type", "python_version")
    search_fields = ("name",)
    list_select_related = ("created_by",)
    actions = ("remove_images",)

    @admin.action(description="Remove selected managed images", permissions=["remove"])
    def remove_images(self, request: HttpRequest, chosen: QuerySet[ManagedImage]) -> None:
        """The console's own removal: same rule, same audit event, same way to AWS."""
        for image in chosen:
            try:
                operations.remove_image(Actor.of(request), image.name)
            except DomainError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.message_user(request, f"{image.name} was removed.", messages.SUCCESS)

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and allows(request.user, Action.REMOVE_IMAGE)


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    list_display = (
        "image", "number", "state", "phase", "attempts", "lease_expires_at", "error_code",
    )  # fmt: skip
    list_filter = ("state", "error_code")
    search_fields = ("image__name",)
    list_select_related = ("image",)


@admin.register(BaseImage)
class BaseImageAdmin(ReadOnlyAdmin):
    list_display = (
        "image_type", "python_version", "platform_version", "state", "is_current", "built_on",
        "children", "source", "error_message",
    )  # fmt: skip
    list_select_related = ("built_on",)
    list_filter = ("state", "image_type", "python_version")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BaseImage]:
        current = Build.objects.filter(
            base_image=OuterRef("pk"),
            pk__in=ManagedImage.objects.existing().values("current_build"),
        )
        counted = current.order_by().values("base_image").annotate(n=Count("pk")).values("n")
        bases: QuerySet[BaseImage] = super().get_queryset(request)
        return bases.annotate(child_count=Coalesce(Subquery(counted), 0))

    @admin.display(description="Managed images on it")
    def children(self, base: BaseImage) -> int:
        return int(getattr(base, "child_count", 0))


@admin.register(WheelLayer)
class WheelLayerAdmin(ReadOnlyAdmin):
    list_display = ("title", "digest", "size_bytes", "created_at")
    search_fields = ("title", "digest")


@admin.register(BuildHost)
class BuildHostAdmin(ReadOnlyAdmin):
    list_display = ("name", "os_packages_problem", "seen_at")


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    list_display = ("url", "events", "created_by", "created_at")
    list_select_related = ("created_by",)
    exclude = ("secret",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "event", "webhook", "state", "attempts", "response_status")
    list_filter = ("state", "event")
    list_select_related = ("webhook",)
