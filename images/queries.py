"""Reading for lists: search, filters and sorting of the Managed Images pane, at a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from packaging.specifiers import SpecifierSet

from images.models import BaseImage, Build, InstalledLibrary, ManagedImage, Status
from images.operations import CreateImage
from images.specs import os_packages_of
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
        holding = InstalledLibrary.objects.filter(normalized_name__startswith=normalized)
        images = images.filter(
            Q(name__icontains=wanted.search) | Q(current_build__in=holding.values("build"))
        )
    latest = Build.objects.filter(image=OuterRef("pk")).order_by("-number")
    libraries = (
        InstalledLibrary.objects.filter(build=OuterRef("current_build"))
        .order_by()
        .values("build")
        .annotate(count=Count("pk"))
        .values("count")
    )
    direction = "-" if wanted.sort.startswith("-") else ""
    return (
        images.select_related("current_build", "created_by", "created_in")
        .annotate(
            current_size=Coalesce("current_build__size_bytes", 0),
            library_count=Coalesce(Subquery(libraries), 0),
            latest_build_number=Subquery(latest.values("number")[:1]),
            latest_phase=Subquery(latest.values("phase")[:1]),
            latest_error=Subquery(latest.values("error_message")[:1]),
        )
        .order_by(direction + SORTS[wanted.sort.removeprefix("-")], "name")
    )


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


def images_satisfying(user: User, wanted: CreateImage, limit: int = 3) -> list[ManagedImage]:
    """READY images on the same base that have everything `wanted` asks for, the fewest libraries first.

    The database narrows by names; specifiers are compared as PEP 440 wants it.
    """
    names = {requirement.normalized_name for requirement in wanted.pip_requirements}
    packages = {package.name: package.version for package in wanted.os_packages}
    holding = (
        InstalledLibrary.objects.filter(normalized_name__in=names)
        .values("build")
        .annotate(held=Count("pk"))
        .filter(held=len(names))
        .values("build")
    )
    candidates = (
        ManagedImage.objects.visible_to(user)
        .filter(
            status=Status.READY,
            image_type=wanted.image_type,
            python_version=wanted.python_version,
            current_build__in=holding,
        )
        .annotate(total=Count("current_build__libraries"))
        .order_by("total", "name")[:50]
    )
    found = []
    for image in candidates:
        assert image.current_build is not None
        versions = dict(
            image.current_build.libraries.filter(normalized_name__in=names).values_list(
                "normalized_name", "version"
            )
        )
        there = {package.name: package.version for package in os_packages_of(image.spec)}
        if all(
            SpecifierSet(requirement.specifier).contains(
                versions[requirement.normalized_name], prereleases=True
            )
            # Which libraries an extra brings, only a resolution tells.
            and not requirement.extras
            for requirement in wanted.pip_requirements
        ) and all(
            name in there and version in ("", there[name]) for name, version in packages.items()
        ):
            found.append(image)
            if len(found) == limit:
                break
    return found
