"""References by which an image is pulled. Pure text: no page asks AWS for them."""

from __future__ import annotations

from django.conf import settings

from images.models import BaseImage, Build, ManagedImage
from images.registry.naming import effective_prefix, image_repository

__all__ = [
    "base_reference",
    "effective_prefix",
    "page_address",
    "pull_reference",
    "repository_of",
    "split_reference",
    "tag_reference",
]


def repository_of(image: ManagedImage) -> str:
    """`<prefix>/<name>`, as the registry knows the image."""
    return image_repository(effective_prefix(), image.name)


def pull_reference(image: ManagedImage, build: Build) -> str:
    """`<registry host>/<prefix>/<name>@<digest>`: exactly this build's image, whatever comes later."""
    return f"{in_registry(repository_of(image))}@{build.manifest_digest}"


def tag_reference(image: ManagedImage, tag: str) -> str:
    """`<registry host>/<prefix>/<name>:<tag>`: whatever image has the tag when it is pulled."""
    return f"{in_registry(repository_of(image))}:{tag}"


def page_address(image: ManagedImage) -> str:
    """The image's page in the console, the same for all workspaces; empty if the console's is not known."""
    return f"{settings.CONSOLE_URL}/images/{image.name}" if settings.CONSOLE_URL else ""


def base_reference(base: BaseImage) -> str:
    """`<registry host>/<prefix>/base/<type>-<version>:<tag>`, by which a base image is pulled."""
    return f"{in_registry(base.repository)}:{base.tag}"


def in_registry(repository: str) -> str:
    """The repository with the registry's host, where that is configured."""
    return f"{settings.REGISTRY_HOST}/{repository}" if settings.REGISTRY_HOST else repository


def split_reference(reference: str) -> tuple[str, str, str]:
    """(repository with its registry, tag, digest) of a valid reference; tag or digest may be empty.

    The tag is `latest` if a reference has neither, as for all that pull by it.
    """
    name, _, digest = reference.partition("@")
    # A colon before the last slash belongs to the port of the registry.
    path, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{path}{slash}{last}", tag or ("" if digest else "latest"), digest
