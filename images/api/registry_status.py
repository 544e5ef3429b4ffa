"""REST for the state of the image registry, as its workers report it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from pydantic import Field

from images.models import AwsContact, BaseImage, BuildHost, ManagedImage
from images.models.contact import Identity
from images.queries import upgrade_progress
from images.references import effective_prefix
from ri_platform.api import ERRORS, Camel, router
from workspaces.access import Action
from workspaces.api.guard import guarded

routes = router(
    "Image registry", "The state of the image registry, for Organization Administrators."
)


class ContactOut(Camel):
    """The last contact of one of the two AWS identities with the registry."""

    identity: Identity
    """`registry` manages repositories, `builds` pulls and pushes."""
    working: bool
    """Whether its last attempt succeeded."""
    problem: str
    """The problem, as a sentence; empty if there is none."""
    attempt_time: datetime | None = None
    """The time of its last attempt; absent if its workers have not reported yet."""
    success_time: datetime | None = None
    """When it last succeeded."""


class BuildHostOut(Camel):
    """A machine with builds workers that has reported within the last hour."""

    name: str = Field(examples=["builder-1"])
    """Its host name."""
    os_packages_problem: str
    """The reason why it cannot install OS packages; empty if it can."""
    source_builds_problem: str
    """The reason why it cannot build from source; empty if it can."""
    report_time: datetime
    """When it last reported."""


class UpgradeOut(Camel):
    """The progress of an upgrade to a new base image."""

    base_image: str
    """The new base image, with its platform version."""
    total: int
    """The number of images on base images of this kind."""
    behind: int
    """The number of images that are not upgraded yet."""
    failed: int
    """The number of images whose upgrade failed."""


class RegistryOut(Camel):
    """The configuration of the image registry, and whether it works."""

    enabled: bool
    """Whether managed images are turned on here."""
    external_images_allowed: bool
    """Whether models may run on images that the platform did not build."""
    repository_prefix: str
    """The prefix of all repositories. The platform acts on nothing outside it."""
    region: str
    """The AWS region."""
    image_count: int
    """How many managed images there are."""
    contacts: list[ContactOut]
    """The two AWS identities."""
    build_hosts: list[BuildHostOut]
    """The machines with builds workers, by name."""
    upgrades: list[UpgradeOut]
    """Upgrades that are not finished."""


@routes.get(
    "/image-registry",
    response={200: RegistryOut, **ERRORS},
    summary="Get the state of the image registry",
)
@guarded(Action.SEE_ORGANIZATION)
def get_image_registry(request: HttpRequest) -> dict[str, Any]:
    """Returns the configuration, the last contacts with AWS, the builds workers and the running upgrades."""
    contacts = {contact.identity: contact for contact in AwsContact.objects.all()}
    return {
        "enabled": settings.IMAGE_REGISTRY_ENABLED,
        "external_images_allowed": settings.ALLOW_EXTERNAL_CUSTOM_IMAGES,
        "repository_prefix": effective_prefix(),
        "region": settings.AWS_REGION,
        "image_count": ManagedImage.objects.existing().count(),
        "contacts": [contact_described(value, contacts.get(value)) for value in Identity.values],
        "build_hosts": [
            {
                "name": host.name,
                "os_packages_problem": host.os_packages_problem,
                "source_builds_problem": host.source_builds_problem,
                "report_time": host.seen_at,
            }
            for host in BuildHost.objects.alive().order_by("name")
        ],
        "upgrades": [
            {
                "base_image": str(item.base),
                "total": item.total,
                "behind": item.behind,
                "failed": item.failed,
            }
            for item in upgrade_progress.progress(BaseImage.objects.current())
        ],
    }


def contact_described(identity: str, contact: AwsContact | None) -> dict[str, Any]:
    return {
        "identity": identity,
        "working": contact is not None and not contact.problem,
        "problem": contact.problem if contact else "",
        "attempt_time": contact.tried_at if contact else None,
        "success_time": contact.succeeded_at if contact else None,
    }
