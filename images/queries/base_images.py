"""Base images as forms and answers list them."""

from __future__ import annotations

from django.contrib.postgres.aggregates import ArrayAgg

from images.models import BaseImage, PythonVersion


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
    return {row["image_type"]: PythonVersion.newest_first(row["versions"]) for row in rows}
