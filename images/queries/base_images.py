"""Lists of base images for forms and API answers."""

from __future__ import annotations

from django.contrib.postgres.aggregates import ArrayAgg

from images.models import BaseImage, PythonVersion
from images.models.base_image import MUSL
from ri_platform.ready import Ready

VERSIONS: Ready[tuple[str, list[str]]] = Ready(
    lambda: (
        BaseImage.objects.exclude(state__in=["failed", "cancelled"])
        .values("image_type")
        .annotate(versions=ArrayAgg("python_version", distinct=True))
        .order_by("image_type")
        .values_list("image_type", "versions")
    )
)


def newest_python(image_type: str) -> str:
    """The newest Python version that can be built on, empty where there is none."""
    return next(iter(base_images_for_form().get(image_type, [])), "")


def base_images_for_form() -> dict[str, list[str]]:
    """Image type → Python versions that can be built on, ready or on their way, newest first."""
    return {kind: PythonVersion.newest_first(versions) for kind, versions in VERSIONS.rows()}


def musl_notice() -> str:
    """What the current base images with musl take, as a sentence; empty where there are none."""
    found = BaseImage.objects.current().filter(libc=MUSL)
    named = [f"{base.get_image_type_display()} with Python {base.python_version}" for base in found]
    if not named:
        return ""
    return (
        f"{', '.join(named)}: this base image has musl instead of glibc, so it takes libraries that have "
        "musllinux or pure Python wheels, and none that have only manylinux ones or a source distribution."
    )
