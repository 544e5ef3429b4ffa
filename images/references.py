"""References by which an image is pulled. Pure text: no page asks AWS for them."""

from __future__ import annotations

from django.conf import settings

from images.models import Build, ManagedImage
from images.registry.naming import image_repository, normalize_prefix


def effective_prefix() -> str:
    """The repository prefix in use, never empty."""
    return normalize_prefix(settings.REPOSITORY_PREFIX)


def repository_of(image: ManagedImage) -> str:
    """`<prefix>/<name>`, as the registry knows the image."""
    return image_repository(settings.REPOSITORY_PREFIX, image.name)


def pull_reference(image: ManagedImage, build: Build) -> str:
    """`<registry host>/<prefix>/<name>@<digest>`: exactly this build's image, whatever comes later."""
    host = f"{settings.REGISTRY_HOST}/" if settings.REGISTRY_HOST else ""
    return f"{host}{repository_of(image)}@{build.manifest_digest}"
