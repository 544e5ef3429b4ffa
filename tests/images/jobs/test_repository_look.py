"""What somebody else does to tags in the registry is found, told and put right."""

from __future__ import annotations

import pytest

from images.models import BaseImage, Verification
from images.operations import builds
from images.operations.channels import set_channel
from images.registry.distribution.descriptors import OCI_MANIFEST
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.images.verification import pushed
from tests.images.verification.workers import Workers, workers_with_registers
from tests.local_aws import LocalAWS
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

REPOSITORY = f"{pushed.PREFIX}/tagged"


@pytest.fixture
def workers(debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Workers:
    return workers_with_registers(registry, monkeypatch, but=debian.repository)


def tags_in(registry: LocalAWS) -> dict[str, str]:
    """Tag → digest."""
    found = registry.control("registry-server").describe_images(REPOSITORY)
    return {tag: item.digest for item in found for tag in item.tags}


def test_tags_that_were_moved_or_deleted_by_hand_are_told_and_put_right(
    cast: Cast, debian: BaseImage, registry: LocalAWS, workers: Workers
) -> None:
    image = build_now(registry, ask(cast, "tagged", "pyjokes==0.6.0"))
    image.description = "Another manifest"
    image.save(update_fields=["description"])
    builds.rebuild_image(Actor(cast.member), image)
    image = build_now(registry, image)
    set_channel(Actor(cast.member), image, "stable", 1)
    workers.work()
    assert workers.verify() == []
    meant = tags_in(registry)
    assert (meant["latest"], meant["stable"]) == (meant["build-2"], meant["build-1"])

    with registry.client() as client:
        for tag, build in (("latest", "build-1"), ("stable", "build-2")):
            raw = client.get_manifest(REPOSITORY, meant[build]).raw
            client.put_manifest(REPOSITORY, tag, raw, OCI_MANIFEST)
    sbom = [{"imageTag": "build-2-sbom"}]
    registry.root.batch_delete_image(repositoryName=REPOSITORY, imageIds=sbom)
    assert sorted(workers.verify()) == ["tag_missing", "tag_moved", "tag_moved"]
    said = sorted(item["said"] for item in Verification.objects.latest("pk").findings)
    assert said == [
        "SBOM or provenance of build 2 of tagged is gone: both are written again.",
        f"The tag latest of tagged names {meant['build-1']}, and is to name its build 2: "
        "it is pushed again.",
        f"The tag stable of tagged names {meant['build-2']}, and is to name its build 1: "
        "it is pushed again.",
    ]
    assert tags_in(registry) == meant
    assert workers.verify() == []
