"""Django admin for operators: images, builds and base images. Changes go by operations."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from images import operations, removal, revisions
from images.models import (
    Alteration,
    AwsContact,
    BaseImage,
    Build,
    BuildHost,
    Delivery,
    ImageType,
    ManagedImage,
    PythonVersion,
    TaskDue,
    Webhook,
    WheelLayer,
)
from ri_platform.errors import DomainError
from ri_platform.operators import ReadOnlyAdmin
from workspaces.access import Actor
from workspaces.admin import each

# A log is looked at here, not studied: the console shows all of it.
LOG_CHARACTERS = 20_000


@admin.register(ManagedImage)
class ManagedImageAdmin(ReadOnlyAdmin):
    list_display = ("name", "status", "image_type", "python_version", "created_by", "removed_at")
    list_filter = ("status", "image_type", "python_version")
    search_fields = ("name",)
    list_select_related = ("created_by",)
    actions = ("remove_images", "rebuild")

    @admin.action(description="Remove selected managed images")
    def remove_images(self, request: HttpRequest, chosen: QuerySet[ManagedImage]) -> None:
        """The console's own removal: same rule, same audit event, same way to AWS."""
        each(
            self, request, chosen,
            lambda actor, image: removal.remove_image(actor, image.name, typed_name=image.name),
            "was removed",
        )  # fmt: skip

    @admin.action(description="Rebuild selected managed images")
    def rebuild(self, request: HttpRequest, chosen: QuerySet[ManagedImage]) -> None:
        each(self, request, chosen, revisions.rebuild_image, "is being built")


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    list_display = (
        "image", "number", "state", "phase", "attempts", "lease_expires_at", "error_code", "created_at",
    )  # fmt: skip
    list_filter = ("state", "reason")
    search_fields = ("image__name", "error_code")
    list_select_related = ("image",)
    readonly_fields = ("log",)
    actions = ("retry", "wake", "cancel")
    ordering = ("-pk",)

    @admin.display(description="Log")
    def log(self, build: Build) -> str:
        text = "".join(chunk.text for chunk in build.log_chunks.all())
        return text[-LOG_CHARACTERS:] or "Nothing was written yet."

    @admin.action(description="Build the images of selected builds again")
    def retry(self, request: HttpRequest, chosen: QuerySet[Build]) -> None:
        each(
            self, request, chosen.select_related("image"),
            lambda actor, build: revisions.rebuild_image(actor, build.image), "is built again",
        )  # fmt: skip

    @admin.action(description="Wake a worker for selected builds")
    def wake(self, request: HttpRequest, chosen: QuerySet[Build]) -> None:
        each(
            self,
            request,
            chosen.select_related("image"),
            revisions.wake_build,
            "was sent to a worker",
        )

    @admin.action(description="Cancel selected builds")
    def cancel(self, request: HttpRequest, chosen: QuerySet[Build]) -> None:
        each(
            self, request, chosen.select_related("image"),
            lambda actor, build: revisions.cancel_build(actor, build.image), "was cancelled",
        )  # fmt: skip


class ImportForm(forms.ModelForm[BaseImage]):
    """What an import needs; the rest is found out by looking into the image."""

    image_type = forms.ChoiceField(choices=ImageType.choices)
    python_version = forms.ChoiceField(choices=PythonVersion.choices)
    platform_version = forms.CharField(
        max_length=64, help_text="Tells versions of a base image apart.",
        initial=lambda: date.today().strftime("%Y.%m.%d"),
    )  # fmt: skip
    source = forms.RegexField(
        r"\A(registry|suite):[A-Za-z0-9][A-Za-z0-9./:@_-]*\Z",
        max_length=400,
        help_text="registry:python:3.11-slim or suite:bookworm; files of a worker's own by manage.py.",
    )

    class Meta:
        model = BaseImage
        fields = ("image_type", "python_version", "platform_version", "source")

    def _post_clean(self) -> None:
        """Whether such a version is there is the operation's to tell: one that failed is tried again."""


@admin.register(BaseImage)
class BaseImageAdmin(ReadOnlyAdmin):
    list_display = (
        "image_type", "python_version", "platform_version", "state", "is_current", "built_on",
        "children", "source", "error_message",
    )  # fmt: skip
    list_select_related = ("built_on",)
    list_filter = ("state", "image_type", "python_version")
    search_fields = ("platform_version", "source")
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
                    base = operations.import_base_image(Actor.of(request), **form.cleaned_data)
                except DomainError as error:
                    self.message_user(request, str(error), messages.ERROR)
                else:
                    self.message_user(request, f"{base} is being imported.", messages.SUCCESS)
                return redirect(reverse("admin:images_baseimage_changelist"))
        return super().add_view(request, form_url, extra_context)

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

    @admin.action(description="Retire selected base images")
    def retire(self, request: HttpRequest, chosen: QuerySet[BaseImage]) -> None:
        """Nothing new is built on them; images that stand on them stay as they are."""
        each(self, request, chosen, operations.retire_base_image, "was retired")


@admin.register(Alteration)
class AlterationAdmin(ReadOnlyAdmin):
    list_display = ("image", "state", "requested_by", "created_at", "due_at", "error_code")
    list_filter = ("state",)
    list_select_related = ("image", "requested_by")


@admin.register(WheelLayer)
class WheelLayerAdmin(ReadOnlyAdmin):
    list_display = ("title", "digest", "size_bytes", "created_at")
    search_fields = ("title", "digest")
    ordering = ("-pk",)


@admin.register(BuildHost)
class BuildHostAdmin(ReadOnlyAdmin):
    list_display = ("name", "os_packages_problem", "source_builds_problem", "seen_at")


@admin.register(TaskDue)
class TaskDueAdmin(ReadOnlyAdmin):
    list_display = (
        "task", "of", "state", "since", "due_at", "lease_expires_at", "attempts", "error",
    )  # fmt: skip
    list_filter = ("task", "state")
    search_fields = ("of",)
    ordering = ("since",)
    actions = ("wake",)

    @admin.action(description="Send selected tasks to a worker now")
    def wake(self, request: HttpRequest, chosen: QuerySet[TaskDue]) -> None:
        each(self, request, chosen, revisions.wake_task, "was sent to a worker")


@admin.register(AwsContact)
class AwsContactAdmin(ReadOnlyAdmin):
    list_display = ("identity", "tried_at", "succeeded_at", "problem")


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    list_display = ("url", "events", "created_by", "created_at")
    list_select_related = ("created_by",)
    exclude = ("secret",)


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
