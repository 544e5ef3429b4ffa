"""System checks of the registry's and the builds' configuration (`manage.py check`), in sentences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from images.indexes import Indexes
from images.registry.naming import add_segment, normalize_prefix

# ECR takes ten manifests a second of an account and region.
UPGRADES_THAT_ECR_TAKES = 10


@register
def repository_prefix_is_usable(**kwargs: Any) -> list[CheckMessage]:
    try:
        normalize_prefix(settings.REPOSITORY_PREFIX)
    except ValueError as error:
        return [
            Error(
                f"RI_REPOSITORY_PREFIX cannot be used: {error}",
                hint="Leave it empty for the default, rime-managed-images.",
                id="images.E001",
            )
        ]
    try:
        add_segment(settings.REPOSITORY_PREFIX, settings.REPOSITORY_SEGMENT)
    except ValueError as error:
        return [
            Error(
                f"RI_REPOSITORY_SEGMENT cannot be used: {error}",
                hint="Leave it empty, unless several instances share an AWS account and region.",
                id="images.E005",
            )
        ]
    return []


@register
def registry_is_in_the_region(**kwargs: Any) -> list[CheckMessage]:
    """A host of one region and an API of another would show pull commands that find nothing."""
    found = re.search(r"\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.", settings.REGISTRY_HOST)
    if found is None or found[1] == settings.AWS_REGION:
        return []
    return [
        Error(
            f"RI_REGISTRY_HOST is a registry in {found[1]}, but RI_AWS_REGION is {settings.AWS_REGION}.",
            hint="Both must name the same region.",
            id="images.E002",
        )
    ]


@register
def package_indexes_are_named(**kwargs: Any) -> list[CheckMessage]:
    try:
        Indexes.from_settings()
    except ValueError as error:
        return [Error(str(error), hint="docs/operations.md has an example.", id="images.E004")]
    return []


@register
def certificate_authorities_can_be_read(**kwargs: Any) -> list[CheckMessage]:
    path = settings.PACKAGE_CA_FILE
    if not path or Path(path).is_file():
        return []
    return [
        Error(
            f"RI_PACKAGE_CA_FILE names {path}, where there is no file.",
            hint="Mount the certificate authorities there, or leave the variable out.",
            id="images.E003",
        )
    ]


@register
def upgrades_keep_within_quotas(**kwargs: Any) -> list[CheckMessage]:
    if settings.UPGRADES_PER_SECOND <= UPGRADES_THAT_ECR_TAKES:
        return []
    return [
        Warning(
            f"RI_UPGRADES_PER_SECOND is {settings.UPGRADES_PER_SECOND}, "
            "but ECR takes ten manifests a second, those of people's builds among them.",
            hint=f"Set it to {UPGRADES_THAT_ECR_TAKES}, or have AWS raise the quota of PutImage.",
            id="images.W001",
        )
    ]


@register(Tags.security, deploy=True)
def pull_commands_name_a_host(**kwargs: Any) -> list[CheckMessage]:
    if settings.REGISTRY_HOST or not settings.IMAGE_REGISTRY_ENABLED:
        return []
    return [
        Warning(
            "RI_REGISTRY_HOST is not set, so the pull commands that people copy name no registry.",
            hint="Set it to <account>.dkr.ecr.<region>.amazonaws.com.",
            id="images.W002",
        )
    ]
