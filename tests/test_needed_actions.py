"""Each action that the document grants is needed: without it, the main job does not get through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images.errors import RegistryError
from images.jobs import aws_contact, repositories
from images.jobs import build as run
from images.models import AwsContact, BaseImage, ManagedImage
from images.models.lease import WorkState
from images.operations import builds, removal
from images.registry.ecr.permissions import AUTHORIZATION_ACTION, IDENTITIES
from tests.builds import ask, pulled_by_ourselves
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.permissions import without
from workspaces.access import Actor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.django_db(transaction=True),
]

GRANTED = [
    (identity, action)
    for identity, actions in IDENTITIES.items()
    for action in (*actions, AUTHORIZATION_ACTION)
]


def life(aws: LocalAWS, cast: Cast, image: ManagedImage, folder: Path) -> Iterator[str]:
    """An image from its creation to its removal; what went wrong at each step, as people are told."""

    def registry_server(step: Any) -> str:
        with aws.identity("registry-server"):
            step(image.pk)
        found = ManagedImage.objects.filter(pk=image.pk).first()
        return found.repository_error if found else ""

    def build() -> str:
        newest = image.builds.all()[0]
        with aws.identity("build-jobs"):
            run.run(newest.pk)
        newest.refresh_from_db()
        assert newest.state in (WorkState.SUCCEEDED, WorkState.FAILED)
        return f"{newest.error_message} {newest.error_hint}"

    with aws.identity("registry-server"):
        aws_contact.check("registry")
    yield AwsContact.objects.get(identity="registry").problem
    yield registry_server(repositories.prepare_repository)
    # As if the worker had died between AWS's answer and its record: is the repository ours?
    ManagedImage.objects.update(repository_ready_at=None)
    yield registry_server(repositories.prepare_repository)
    yield build()
    image.refresh_from_db()
    try:
        pulled_by_ourselves(aws, image, folder)
    except RegistryError as error:
        yield str(error)
    builds.rebuild_image(Actor(cast.member), image)
    yield build()
    yield registry_server(repositories.tidy_repository)
    removal.remove_image(Actor(cast.admin), image.name)
    yield registry_server(repositories.delete_repository)


# One of each identity is taken away by `make test`, all others by `make test-long`.
ONE_OF_EACH = {"ecr:CreateRepository", "ecr:PutImage"}


@pytest.mark.parametrize(
    ("identity", "action"),
    [
        pytest.param(*granted, marks=() if granted[1] in ONE_OF_EACH else pytest.mark.long)
        for granted in GRANTED
    ],
)
def test_without_it_the_main_job_stops_and_says_which_is_missing(
    identity: str,
    action: str,
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    tmp_path: Path,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.KEEP_BUILDS = 1
    image = ask(cast, "limited", "pyjokes==0.6.0")
    with without(registry, identity, action):
        problem = next(
            (said for said in life(registry, cast, image, tmp_path) if "refused" in said), ""
        )
    told = f"{problem}\n{caplog.text}"
    with registry.identity("registry-server"):
        registry.control("registry-server").delete_repository("rime-managed-images/limited")
    assert action in told


def test_with_all_of_them_it_gets_through(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path, settings: Any
) -> None:
    settings.KEEP_BUILDS = 1
    image = ask(cast, "whole", "pyjokes==0.6.0")
    said = [problem.strip() for problem in life(registry, cast, image, tmp_path)]
    assert said == [""] * 7
    assert not ManagedImage.objects.exists()
