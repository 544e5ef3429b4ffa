"""REST endpoint for the state of the image registry, as the workers report it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.conf import settings
from django.http import HttpRequest
from pydantic import BeforeValidator, Field

from images.api.problems import Problem, problem
from images.models import (
    AwsContact,
    BaseImage,
    BuildHost,
    ImageCount,
    Instance,
    RefusedRepository,
    Verification,
)
from images.models.contact import Identity
from images.models.instance import MarkState
from images.queries import upgrade_progress
from images.queries.drifts import last_refused, last_verifications
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
    working: bool = Field(validation_alias="is_working")
    """Whether its last attempt succeeded."""
    problem: str
    """The problem, as a sentence; empty if there is none."""
    attempt_time: datetime | None = Field(None, validation_alias="tried_at")
    """The time of its last attempt; absent if its workers have not reported yet."""
    success_time: datetime | None = Field(None, validation_alias="succeeded_at")
    """When it last succeeded."""


class BuildHostOut(Camel):
    """A machine with builds workers that has reported within the last hour."""

    name: str = Field(examples=["builder-1"])
    """Its host name."""
    os_packages_problem: str
    """The reason why it cannot install OS packages; empty if it can."""
    source_builds_problem: str
    """The reason why it cannot build from source; empty if it can."""
    report_time: datetime = Field(validation_alias="seen_at")
    """When it last reported."""


class UpgradeOut(Camel):
    """The progress of an upgrade to a new base image."""

    base_image: Annotated[str, BeforeValidator(str)] = Field(validation_alias="base")
    """The new base image, with its platform version."""
    total: int
    """The number of images on base images of this kind."""
    behind: int
    """The number of images that are not upgraded yet."""
    failed: int
    """The number of images whose upgrade failed."""


class LookOut(Camel):
    """A look at all images in the registry."""

    seen: int = Field(examples=[80])
    """How many images it looked at so far."""
    total: int
    """How many it looks at."""
    requests: int = Field(examples=[420])
    """How many requests it sent to the registry."""
    findings: int = Field(examples=[1])
    """How much it found."""
    start_time: datetime = Field(validation_alias="created_at")
    """When it was begun."""
    completion_time: datetime | None = Field(None, validation_alias="finished_at")
    """When it ended."""

    @staticmethod
    def resolve_findings(row: Verification) -> int:
        return len(row.findings)


class RefusedRepositoryOut(Camel):
    """A repository whose lifecycle policy, listing or deletion failed when it was last tried."""

    repository: str = Field(examples=["rime-managed-images/churn"])
    """Its whole name."""
    error: Problem
    """The reason: AWS's words, and the action to allow."""
    attempts: int = Field(examples=[3])
    """How often it has been tried since it fails."""
    first_failure_time: datetime = Field(validation_alias="since")
    """Since when it fails."""
    next_attempt_time: datetime = Field(validation_alias="due_at")
    """When it is tried again."""

    @staticmethod
    def resolve_error(row: RefusedRepository) -> dict[str, str] | None:
        return problem(row)


class RegistryOut(Camel):
    """The configuration of the image registry, and whether it works."""

    enabled: bool
    """Whether managed images are turned on here."""
    external_images_allowed: bool
    """Whether models may run on images that the platform did not build."""
    repository_prefix: str
    """The prefix of all repositories. The platform acts on nothing outside it."""
    instance_id: str = Field(examples=["0f5a3f2e-5d0c-4b53-9d4b-3f1d6f0d7a11"])
    """The id in this instance's mark; empty until a worker has looked."""
    mark: MarkState
    """Whose mark the repositories carry: nothing is built or deleted unless it is `ours`."""
    marked_by: str = Field(examples=[""])
    """The id of another instance whose mark it is; empty if it is not known, or not another's."""
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
    refused_repository_count: int = Field(examples=[0])
    """The number of repositories whose upkeep fails."""
    refused_repositories: list[RefusedRepositoryOut]
    """These repositories, the one that was tried last first; at most 100."""
    last_look: LookOut | None = None
    """The last whole look at the contents of the registry; absent if there was none yet."""
    current_look: LookOut | None = None
    """The look that is under way."""


@routes.get(
    "/image-registry",
    response={200: RegistryOut, **ERRORS},
    summary="Get the state of the image registry",
)
@guarded(Action.SEE_ORGANIZATION)
def get_image_registry(request: HttpRequest) -> dict[str, Any]:
    """Returns the configuration, contacts with AWS, builds workers, upgrades, and looks at the contents."""
    contacts = {contact.identity: contact for contact in AwsContact.objects.all()}
    instance = Instance.objects.seen()
    verifying, verified = last_verifications()
    return {
        "enabled": settings.IMAGE_REGISTRY_ENABLED,
        "external_images_allowed": settings.ALLOW_EXTERNAL_CUSTOM_IMAGES,
        "repository_prefix": effective_prefix(),
        "instance_id": str(instance) if instance.looked_at else "",
        "mark": instance.state,
        "marked_by": instance.marked_by,
        "region": settings.AWS_REGION,
        "image_count": ImageCount.objects.of_existing_images().total(),
        "contacts": [contacts.get(value, AwsContact(identity=value)) for value in Identity.values],
        "build_hosts": BuildHost.objects.alive().order_by("name"),
        "upgrades": upgrade_progress.progress(BaseImage.objects.current()),
        "refused_repository_count": RefusedRepository.objects.count(),
        "refused_repositories": last_refused(),
        "last_look": verified,
        "current_look": verifying,
    }
