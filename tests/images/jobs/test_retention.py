"""Which builds stay in the registry, and that nothing else does in the end."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from images import tasks, wake
from images.jobs import repositories, retention
from images.manifest_bytes import canonical
from images.models import BaseImage, Build, ManagedImage, Status, UnknownRepository
from images.models.lease import WorkState
from images.operations import alterations, builds, swaps
from images.registry.distribution.descriptors import OCI_MANIFEST, digest_of
from images.registry.ecr import local_iam
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.errors import Conflict
from ri_platform.local import services
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.images.registry.ecr.ecr_lifecycle import Image, expired
from tests.local_aws import LocalAWS
from workspaces.access import Actor

NEXT_WEEK = datetime.now(UTC) + timedelta(days=7)


def add_build(image: ManagedImage, number: int, state: str, digest: str = "") -> Build:
    values = {"state": state, "manifest_digest": digest and factories.digest(digest)}
    if state == WorkState.FAILED:
        values["error_code"] = "registry_failed"
    base = image.builds.all()[0].base_image
    build = factories.make_build(image, base, Status.READY, number, **values)
    if state == WorkState.SUCCEEDED:  # as its success would have it
        image.current_build = build
        image.save(update_fields=["current_build"])
    return build


def in_registry(aws: LocalAWS, repository: str) -> list[Image]:
    return [
        Image(detail.digest, set(detail.tags), detail.pushed_at or datetime.now(UTC))
        for detail in aws.control("registry-server").describe_images(repository)
    ]


def gone_next_week(aws: LocalAWS, repository: str) -> set[str]:
    """The tags of what the policy in force takes, by ECR's rules; the local AWS takes nothing itself."""
    root = local_iam.root_client("ecr", aws.url, services.REGION)
    policy = root.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"]
    images = in_registry(aws, repository)
    taken = expired(policy, images, NEXT_WEEK)
    return {tag for image in images if image.digest in taken for tag in image.tags}


def test_the_newest_successful_builds_are_kept(base: BaseImage, settings: Any) -> None:
    settings.KEEP_BUILDS = 2
    image = factories.make_image("kept", base=base)  # build 1
    add_build(image, 2, WorkState.SUCCEEDED, "two")
    add_build(image, 3, WorkState.FAILED)
    add_build(image, 4, WorkState.CANCELLED)
    add_build(image, 5, WorkState.SUCCEEDED, "five")
    add_build(image, 6, WorkState.QUEUED)
    now = retention.read_retention_state(image)
    assert now.superseded == {1, 3, 4}
    assert now.digests == {factories.digest("two"), factories.digest("five")}


@pytest.mark.slow
def test_what_a_model_is_pinned_to_is_kept_as_long_as_it_is(
    cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.KEEP_BUILDS = 1
    image = factories.make_image("pinned", base=base)
    model = factories.make_model(cast.workspace)
    swaps.swap_image(Actor(cast.member), model, swaps.ManagedChoice("pinned", 1))
    add_build(image, 2, WorkState.SUCCEEDED, "two")
    assert retention.read_retention_state(image).superseded == set()
    swaps.swap_image(Actor(cast.member), model, swaps.ManagedChoice("pinned"))
    assert retention.read_retention_state(image).superseded == {1}
    with pytest.raises(Conflict, match="no longer kept in the registry"):
        swaps.swap_image(Actor(cast.member), model, swaps.ManagedChoice("pinned", 1))


@pytest.mark.slow
def test_superseded_builds_expire_with_what_refers_to_them(
    base: BaseImage, registry: LocalAWS, settings: Any
) -> None:
    settings.KEEP_BUILDS = 1
    repository = "rime-managed-images/tidy"
    image = factories.make_image("tidy", base=base)
    add_build(image, 2, WorkState.FAILED)
    with registry.repositories(repository), registry.client() as client:
        manifests = {}
        for name in ("one", "one sbom", "two", "three"):
            manifests[name] = canonical({"schemaVersion": 2, "annotations": {"n": name}})
        for tag, name in {
            "build-1": "one",
            "build-1-sbom": "one sbom",
            "build-2": "two",
            "build-3": "three",
            "build-10": "one",
        }.items():
            client.put_manifest(repository, tag, manifests[name], OCI_MANIFEST)
        with registry.identity("registry-server"):
            repositories.tidy_repository(image.pk)
            assert gone_next_week(registry, repository) == {"build-2"}
            add_build(image, 3, WorkState.SUCCEEDED, "three")
            Build.objects.filter(image=image, number=3).update(
                manifest_digest=digest_of(manifests["three"])
            )
            repositories.tidy_repository(image.pk)
        # Build 10 is of no record and can be adopted, so what it has in common with build 1 stays.
        assert gone_next_week(registry, repository) == {"build-1-sbom", "build-2"}
        assert UnknownRepository.objects.open().get().builds == ["10"]
        add_build(image, 11, WorkState.SUCCEEDED, "eleven")
        with registry.identity("registry-server"):
            repositories.tidy_repository(image.pk)
        assert gone_next_week(registry, repository) == {
            "build-1",
            "build-1-sbom",
            "build-2",
            "build-3",
            "build-10",
        }
    image.refresh_from_db()
    assert image.repository_due_at > timezone.now() + timedelta(hours=11)


def test_an_image_with_nothing_superseded_asks_nothing_of_aws(
    base: BaseImage, settings: Any
) -> None:
    settings.AWS_ENDPOINT_URL = f"http://127.0.0.1:{services.free_port()}"
    image = factories.make_image("young", base=base)
    repositories.tidy_repository(image.pk)
    image.refresh_from_db()
    assert image.repository_due_at > timezone.now() + timedelta(hours=11)


@pytest.mark.slow
def test_what_aws_refuses_is_told_and_tried_again(
    base: BaseImage, settings: Any, sent: list[tuple[wake.Task, int]], caplog: Any
) -> None:
    settings.AWS_ENDPOINT_URL = f"http://127.0.0.1:{services.free_port()}"
    image = factories.make_image("away", base=base)
    add_build(image, 2, WorkState.FAILED)
    ManagedImage.objects.update(repository_due_at=timezone.now() - timedelta(minutes=1))
    with caplog.at_level(logging.WARNING):
        repositories.tidy_repository(image.pk)
    assert "The repository of away cannot be tidied" in caplog.text
    repositories.tidy_due()
    assert sent == []  # Others come first, for a while.
    ManagedImage.objects.update(repository_due_at=timezone.now() - timedelta(minutes=1))
    repositories.tidy_due()
    assert sent == [(wake.Task.TIDY_REPOSITORY, image.pk)]
    settings.IMAGE_REGISTRY_ENABLED = False
    repositories.tidy_due()
    assert len(sent) == 1


@pytest.mark.slow
def test_tidying_wakes_itself_one_repository_after_the_other(
    base: BaseImage, settings: Any, sent: list[tuple[wake.Task, int]]
) -> None:
    """However many are due, and though AWS refuses, other work of the queue waits for one of them."""
    settings.AWS_ENDPOINT_URL = f"http://127.0.0.1:{services.free_port()}"
    factories.make_instance()
    images = [factories.make_image(f"due-{number}", base=base) for number in range(3)]
    now = timezone.now()
    for number, image in enumerate(images):
        due_at = now - timedelta(minutes=10 - number)
        ManagedImage.objects.filter(pk=image.pk).update(repository_due_at=due_at)
    tasks.tidy_due()
    tasks.tidy_due()
    first = (wake.Task.TIDY_REPOSITORY, images[0].pk)
    assert sent == [first, first]
    order = []
    while sent:
        order.append(sent[0][1])
        tasks.tidy_repository(sent.pop(0)[1])
    # The second message for the first finds nothing to do, and ends there.
    assert order == [images[0].pk, images[0].pk, images[1].pk, images[2].pk]


@pytest.mark.django_db(transaction=True)
def test_whoever_pins_a_model_to_a_build_is_waited_for(base: BaseImage) -> None:
    """A pin that is checked and not yet committed would be missed, and its build named to expire."""
    image = factories.make_image("pinned", base=base)
    database = connection.settings_dict
    address = services.database_url(str(database["HOST"]), str(database["NAME"]), "postgresql")
    with psycopg.connect(address) as somebody:
        somebody.execute("SELECT 1 FROM images_managedimage WHERE id = %s FOR UPDATE", [image.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20ms'")
        try:
            with pytest.raises(OperationalError, match="lock timeout"):
                repositories.tidy_repository(image.pk)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
    repositories.tidy_repository(image.pk)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_rolling_back_beyond_what_is_kept_makes_an_image_that_no_rule_takes(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any
) -> None:
    settings.KEEP_BUILDS = 1
    repository, actor = "rime-managed-images/beyond", Actor(cast.member)

    def tidy(image: ManagedImage) -> set[str]:
        with registry.identity("registry-server"):
            repositories.tidy_repository(image.pk)
        return gone_next_week(registry, repository)

    image = build_now(registry, ask(cast, "beyond", "pyjokes==0.6.0"))
    first = image.builds.get(number=1)
    other = ImageSpec("all", "3.11", tuple(parse_pip_requirements("six==1.17.0")))
    alterations.alter_image_unseen(actor, image, other)
    image = build_now(registry, image)
    assert tidy(image) == {"build-1", "build-1-sbom", "build-1-provenance"}
    builds.roll_back_image(actor, image, 1)
    image = build_now(registry, image)
    assert image.status == Status.READY
    assert image.current_build is not None
    assert image.current_build.number == 3
    assert image.current_build.manifest_digest != first.manifest_digest
    # The rules in force name build 1, and would have taken an image that build 3 shared with it.
    assert not {tag for tag in gone_next_week(registry, repository) if "build-3" in tag}
    assert {tag.partition("-")[2].partition("-")[0] for tag in tidy(image)} == {"1", "2"}
    with registry.client() as client:
        marked = client.get_manifest(repository, "build-3").json()
        plain = client.get_manifest(repository, "build-1").json()
    assert marked["annotations"].pop("org.opencontainers.image.version") == "build-3"
    assert marked == plain
