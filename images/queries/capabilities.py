"""Build capabilities of this installation; forms refuse what no worker could build."""

from __future__ import annotations

from django.conf import settings

from images.models import BuildHost
from ri_platform.errors import Unavailable


def os_packages_refusal() -> str:
    """Why OS packages cannot be asked for, as a sentence; empty if some worker can install them."""
    return refusal("OS packages", "builds", "os_packages_problem")


def source_builds_refusal() -> str:
    """Why nothing can be built from source, as a sentence; empty if some worker may and can."""
    if not settings.SOURCE_BUILDS_ALLOWED:
        return "Building libraries from source is turned off on this instance."
    return refusal("Source builds", "sources", "source_builds_problem")


def refusal(what: str, queue: str, column: str) -> str:
    hosts = BuildHost.objects.alive().filter(queue=queue)
    problems = list(hosts.values_list(column, flat=True))
    if not problems:
        return f"{what} cannot be asked for while no {queue} worker is running."
    return "" if "" in problems else f"{what} cannot be asked for. {problems[0]}"


def require_enabled() -> None:
    if not settings.IMAGE_REGISTRY_ENABLED:
        raise Unavailable(
            "The Managed Image Registry is turned off on this instance.",
            hint="An operator can turn it on with RI_IMAGE_REGISTRY_ENABLE.",
        )
