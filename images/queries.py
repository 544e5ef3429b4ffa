"""Reading for lists: search, filters and sorting of the Managed Images pane, at a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from images.models import BaseImage, Build, InstalledLibrary, ManagedImage, Status
from workspaces.models import User

SORTS = {
    "name": "name",
    "status": "status",
    "base": "python_version",
    "size": "current_size",
    "created": "created_at",
    "updated": "updated_at",
}
DEFAULT_SORT = "name"


@dataclass(frozen=True)
class ImageFilter:
    """What the pane's URL says; unknown values fall back to the default instead of failing."""

    search: str = ""
    status: str = ""
    sort: str = DEFAULT_SORT

    @classmethod
    def parse(cls, search: str, status: str, sort: str) -> ImageFilter:
        return cls(
            search=search.strip()[:128].replace("\x00", ""),
            status=status if status in Status.values else "",
            sort=sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
        )


def list_images(user: User, wanted: ImageFilter) -> QuerySet[ManagedImage]:
    """Images that `user` sees, with `current_size`, `library_count` and `latest_build_id` annotated.

    Search looks at the image's name and at the names of installed and requested libraries.
    """
    images = ManagedImage.objects.visible_to(user)
    if wanted.status:
        images = images.filter(status=wanted.status)
    if wanted.search:
        normalized = wanted.search.lower().replace("_", "-").replace(".", "-")
        holding = InstalledLibrary.objects.current().filter(normalized_name__startswith=normalized)
        images = images.filter(
            Q(name__icontains=wanted.search) | Q(current_build__in=holding.values("build"))
        )
    latest = Build.objects.filter(image=OuterRef("pk")).order_by("-number")
    direction = "-" if wanted.sort.startswith("-") else ""
    return (
        images.select_related("current_build", "created_by", "created_in")
        .annotate(
            current_size=Coalesce("current_build__size_bytes", 0),
            library_count=Coalesce("current_build__library_count", 0),
            latest_build_number=Subquery(latest.values("number")[:1]),
            latest_phase=Subquery(latest.values("phase")[:1]),
            latest_error=Subquery(latest.values("error_message")[:1]),
        )
        .order_by(direction + SORTS[wanted.sort.removeprefix("-")], "name")
    )


def installed_versions(build: Build | None) -> dict[str, str]:
    """Normalized name → version of what is in a build's image; of none, nothing."""
    if build is None:
        return {}
    return dict(build.libraries.values_list("normalized_name", "version"))


def newest_python(image_type: str) -> str:
    """The newest Python version that can be built on, empty where there is none."""
    return next(iter(base_images_for_form().get(image_type, [])), "")


def base_images_for_form() -> dict[str, list[str]]:
    """Image type → Python versions that can be built on, ready or on their way, newest first."""
    rows = (
        BaseImage.objects.exclude(state__in=["failed", "cancelled"])
        .values("image_type")
        .annotate(versions=ArrayAgg("python_version", distinct=True))
        .order_by("image_type")
    )
    return {
        row["image_type"]: sorted(
            row["versions"], key=lambda v: [int(part) for part in v.split(".")], reverse=True
        )
        for row in rows
    }
