"""Django admin for operators: images, builds and base images. Changes go by operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from images import contents_admin  # noqa: F401 - its models are registered there
from images.forms.base_images import ImportForm
from images.models import (
    Alteration,
    AwsContact,
    BaseImage,
    Build,
    BuildHost,
    BuildLayer,
    CachedLayer,
    DefaultImage,
    Delivery,
    ImportCheck,
    Instance,
    LibraryIndex,
    ManagedImage,
    PreparedLayer,
    TaskDue,
    Webhook,
)
from images.models.lease import ACTIVE
from images.operations import base_images, builds, due_tasks, removal, webhooks
from images.operations import default_image as default_images
from images.wake import DUE
from ri_platform.errors import DomainError
from ri_platform.operators import ReadOnlyAdmin, link_to
from workspaces.access import Actor
from workspaces.admin import apply_to_each

# A log is looked at here, not studied: the console shows all of it.
LOG_CHARACTERS = 20_000


@admin.register(ManagedImage)
class ManagedImageAdmin(ReadOnlyAdmin):
    list_display = (
        "name", "status", "image_type", "python_version", "created_by", "created_in", "removed_at",
    )  # fmt: skip
    list_filter = ("status", "image_type", "python_version")
    search_fields = ("name",)
    list_select_related = ("created_by", "created_in")
    readonly_fields = ("all_builds", "owner")
    linked_by = ("current_build__base_image",)
    actions = ("remove_images", "rebuild")

    @admin.display(description="Owner")
    def owner(self, image: ManagedImage) -> str:
        return image.owner_name

    @admin.display(description="Builds")
    def all_builds(self, image: ManagedImage) -> str:
        return link_to("admin:images_build_changelist", "Show", image=image.pk)

    @admin.action(description="Remove selected managed images")
    def remove_images(self, request: HttpRequest, chosen: QuerySet[ManagedImage]) -> None:
        """The console's own removal: same rule, same audit event, same way to AWS."""
        apply_to_each(
            self, request, chosen,
            lambda actor, image: removal.remove_image(actor, image.name, typed_name=image.name),
            "was removed",
        )  # fmt: skip

    @admin.action(description="Rebuild selected managed images")
    def rebuild(self, request: HttpRequest, chosen: QuerySet[ManagedImage]) -> None:
        apply_to_each(self, request, chosen, builds.rebuild_image, "is being built")


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    list_display = (
        "image", "number", "state", "phase", "attempts", "lease_expires_at", "error_code", "created_at",
    )  # fmt: skip
    list_filter = ("state", "reason")
    search_fields = ("image__name",)
    list_select_related = ("image",)
    readonly_fields = ("log",)
    linked_by = ("image",)
    actions = ("retry", "wake", "cancel")
    ordering = ("-pk",)

    @admin.display(description="Log")
    def log(self, build: Build) -> str:
        text = "".join(chunk.text for chunk in build.log_chunks.all())
        return text[-LOG_CHARACTERS:] or "Nothing was written yet."

    @admin.action(description="Build the images of selected builds again")
    def retry(self, request: HttpRequest, chosen: QuerySet[Build]) -> None:
        apply_to_each(
            self, request, chosen.select_related("image"),
            lambda actor, build: builds.rebuild_image(actor, build.image), "is built again",
        )  # fmt: skip

    @admin.action(description="Wake a worker for selected builds")
    def wake(self, request: HttpRequest, chosen: QuerySet[Build]) -> None:
        apply_to_each(
            self,
            request,
            chosen.select_related("image"),
            due_tasks.wake_build,
            "was sent to a worker",
        )

    @admin.action(description="Cancel selected builds")
    def cancel(self, request: HttpRequest, chosen: QuerySet[Build]) -> None:
        apply_to_each(
            self, request, chosen.select_related("image"),
            lambda actor, build: builds.cancel_build(actor, build.image), "was cancelled",
        )  # fmt: skip


@admin.register(BaseImage)
class BaseImageAdmin(ReadOnlyAdmin):
    list_display = (
        "image_type", "python_version", "platform_version", "state", "is_current", "built_on",
        "libc_described", "children", "source", "error_message",
    )  # fmt: skip
    readonly_fields = ("children", "base_children", "libc_described")
    list_select_related = ("built_on",)
    list_filter = ("state", "image_type", "python_version")
    search_fields = ("platform_version", "source")
    linked_by = ("built_on",)
    actions = ("retire",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return True

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any
    ) -> Any:
        return super().get_form(request, obj, change, **options) if obj else ImportForm

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fields(request, obj) if obj else list(ImportForm.Meta.fields)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """*Add* asks a worker to import; it is the command's own operation."""
        if request.method == "POST":
            form = ImportForm(request.POST)
            if form.is_valid():
                try:
                    base = base_images.import_base_image(Actor.of(request), **form.cleaned_data)
                except DomainError as error:
                    self.message_user(request, str(error), messages.ERROR)
                else:
                    self.message_user(request, f"{base} is being imported.", messages.SUCCESS)
                return redirect(reverse("admin:images_baseimage_changelist"))
        return super().add_view(request, form_url, extra_context)

    @admin.display(description="C library")
    def libc_described(self, base: BaseImage) -> str:
        return base.libc_described

    @admin.display(description="Managed images on it")
    def children(self, base: BaseImage) -> str:
        """A link, since counting a hundred thousand of them for each row would keep the page waiting."""
        return link_to(
            "admin:images_managedimage_changelist", "Show", current_build__base_image=base.pk
        )

    @admin.display(description="Base images on it")
    def base_children(self, base: BaseImage) -> str:
        return link_to("admin:images_baseimage_changelist", "Show", built_on=base.pk)

    @admin.action(description="Retire selected base images")
    def retire(self, request: HttpRequest, chosen: QuerySet[BaseImage]) -> None:
        """Nothing new is built on them; images that stand on them stay as they are."""
        apply_to_each(self, request, chosen, base_images.retire_base_image, "was retired")


@admin.register(Alteration)
class AlterationAdmin(ReadOnlyAdmin):
    list_display = ("image", "state", "requested_by", "created_at", "due_at", "error_code")
    list_filter = ("state",)
    list_select_related = ("image", "requested_by")


@admin.register(CachedLayer)
class CachedLayerAdmin(ReadOnlyAdmin):
    list_display = ("title", "digest", "size_bytes", "created_at")
    search_fields = ("title", "digest")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CachedLayer]:
        return super().get_queryset(request).defer("paths", "native")


@admin.register(DefaultImage)
class DefaultImageAdmin(ReadOnlyAdmin):
    list_display = ("workspace", "label", "assigned_by", "set_at")
    search_fields = ("workspace__name", "image_name", "external_reference")
    list_select_related = ("workspace", "assigned_by")
    ordering = ("workspace__name",)
    actions = ("clear",)

    @admin.action(description="Clear selected default images")
    def clear(self, request: HttpRequest, chosen: QuerySet[DefaultImage]) -> None:
        apply_to_each(
            self, request, chosen.select_related("workspace"),
            lambda actor, default: default_images.clear_default_image(actor, default.workspace),
            "was cleared",
        )  # fmt: skip


@admin.register(LibraryIndex)
class LibraryIndexAdmin(ReadOnlyAdmin):
    list_display = ("distribution", "version", "state", "finished_at", "error_message")


@admin.register(PreparedLayer)
class PreparedLayerAdmin(ReadOnlyAdmin):
    list_display = (
        "title", "python_version", "because", "size_bytes", "processor_seconds", "is_used", "prepared_at",
        "error",
    )  # fmt: skip
    list_filter = ("because", "python_version")
    search_fields = ("title",)
    ordering = ("-prepared_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PreparedLayer]:
        used = BuildLayer.objects.filter(layer__key=OuterRef("key"))
        found: QuerySet[PreparedLayer] = super().get_queryset(request)
        return found.annotate(used=Exists(used))

    @admin.display(boolean=True, description="used by a build")
    def is_used(self, layer: Any) -> bool:
        return bool(layer.used)


@admin.register(ImportCheck)
class ImportCheckAdmin(ReadOnlyAdmin):
    list_display = ("build", "state", "result", "tried", "seconds", "created_at", "skipped_because")
    list_filter = ("state", "result")
    list_select_related = ("build__image",)
    search_fields = ("build__image__name", "manifest_digest")
    ordering = ("-pk",)


@admin.register(BuildHost)
class BuildHostAdmin(ReadOnlyAdmin):
    list_display = ("name", "queue", "os_packages_problem", "source_builds_problem", "seen_at")


class Filter(admin.SimpleListFilter):
    """A filter by known values: Django would look for those that occur, in the whole table."""

    values: Sequence[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value) for value in self.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class TaskFilter(Filter):
    title = parameter_name = "task"
    values = tuple(DUE)


class StateFilter(Filter):
    title = parameter_name = "state"
    values = ACTIVE


@admin.register(TaskDue)
class TaskDueAdmin(ReadOnlyAdmin):
    list_display = (
        "task", "of", "state", "queue", "since", "due_at", "lease_expires_at", "attempts", "error",
    )  # fmt: skip
    list_filter = (TaskFilter, StateFilter)
    search_fields = ("of",)
    ordering = ("since",)
    actions = ("wake",)

    @admin.action(description="Send selected tasks to a worker now")
    def wake(self, request: HttpRequest, chosen: QuerySet[TaskDue]) -> None:
        apply_to_each(self, request, chosen, due_tasks.wake_task, "was sent to a worker")


@admin.register(AwsContact)
class AwsContactAdmin(ReadOnlyAdmin):
    list_display = ("identity", "tried_at", "succeeded_at", "problem")


@admin.register(Instance)
class InstanceAdmin(ReadOnlyAdmin):
    list_display = ("instance_id", "state", "marked_by", "place", "looked_at")


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    list_display = ("url", "events", "created_by", "created_at")
    list_select_related = ("created_by",)
    exclude = ("secret",)
    actions = ("remove",)

    @admin.action(description="Remove selected webhooks")
    def remove(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        apply_to_each(
            self, request, chosen,
            lambda actor, hook: webhooks.remove_webhook(actor, hook.pk), "was removed",
        )  # fmt: skip


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "event",
        "webhook",
        "state",
        "attempts",
        "response_status",
        "due_at",
    )
    list_filter = ("state", "event")
    list_select_related = ("webhook",)
    ordering = ("-pk",)
    actions = ("send_again",)

    @admin.action(description="Send selected messages once more")
    def send_again(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        apply_to_each(
            self, request, chosen.select_related("webhook"),
            lambda actor, sent: webhooks.send_again(actor, sent.webhook_id, sent.pk), "is sent again",
        )  # fmt: skip
