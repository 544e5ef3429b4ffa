"""References by which an image is pulled. Pure text: no page asks AWS for them."""

from __future__ import annotations

from django.conf import settings

from images.models import Build, ManagedImage
from images.registry.naming import effective_prefix, image_repository

__all__ = ["effective_prefix", "pull_reference", "repository_of"]


def repository_of(image: ManagedImage) -> str:
    """`<prefix>/<name>`, as the registry knows the image."""
    return image_repository(effective_prefix(), image.name)


def pull_reference(image: ManagedImage, build: Build) -> str:
    """`<registry host>/<prefix>/<name>@<digest>`: exactly this build's image, whatever comes later."""
    host = f"{settings.REGISTRY_HOST}/" if settings.REGISTRY_HOST else ""
    return f"{host}{repository_of(image)}@{build.manifest_digest}"
