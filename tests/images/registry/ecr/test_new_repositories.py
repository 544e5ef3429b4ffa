"""Repositories of real ECR: those that are not ours, tags that stay, pages, and what is known late."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.errors import (
    RegistryNotFound,
    RepositoryNotOurs,
    TagTaken,
)
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, digest_of
from images.registry.ecr.repositories import PAGE_SIZE, RepositoryControl
from images.registry.tags import moves
from tests.images.registry.ecr import ecr_stub
from tests.images.registry.ecr.ecr_stub import ECR, THROTTLED, fault, refusal
from tests.images.registry.ecr.ways import MIB, NAME, layer

NOT_FOUND = fault("RepositoryNotFoundException", ecr_stub.not_there(NAME))
NAME_UNKNOWN = refusal(404, "NAME_UNKNOWN", ecr_stub.not_there(NAME))

# --- a repository that is not ours -----------------------------------------------------------------------


@pytest.mark.parametrize("first_page_is_empty", [False, True])
def test_a_repository_with_images_is_neither_adopted_nor_touched(
    ecr: ECR, control: RepositoryControl, first_page_is_empty: bool
) -> None:
    ecr.has(NAME, images=3)
    ecr.first_page_is_empty = first_page_is_empty
    with pytest.raises(RepositoryNotOurs, match=f"{NAME} with images in it"):
        control.create_repository(NAME, ours=False)
    assert set(ecr.operations) == {"CreateRepository", "ListImages"}
    assert len(ecr.repositories[NAME].images) == 3


def test_a_repository_whose_creation_was_answered_too_late_is_ours(
    ecr: ECR, control: RepositoryControl
) -> None:
    """What boto3's own second attempt meets, where the first was carried out and its answer lost."""
    ecr.has(NAME)
    ecr.instead("CreateRepository", fault("ServerException", "Timed out", 500))
    control.create_repository(NAME, ours=False)
    assert ecr.operations == ["CreateRepository"] * 2 + ["ListImages"]


# --- immutability ----------------------------------------------------------------------------------------


def test_a_repository_is_made_in_which_latest_and_channels_alone_move(
    ecr: ECR, control: RepositoryControl
) -> None:
    control.create_repository(NAME, ours=False)
    made = ecr.repositories[NAME]
    assert made.mutability == "IMMUTABLE_WITH_EXCLUSION"
    assert made.excluded == ["latest", "stable", "candidate", "production", "channel-*"]
    for tag in ("build-1", "build-1-sbom", "2026.11.1", "stable-1"):
        assert (made.mutable(tag), moves(tag)) == (False, False)
    for tag in ("latest", "stable", "channel-eu"):
        assert (made.mutable(tag), moves(tag)) == (True, True)


def test_a_channel_moves_and_the_tag_of_a_build_stays(
    ecr: ECR, control: RepositoryControl, client: RegistryClient
) -> None:
    control.create_repository(NAME, ours=False)
    for raw in (b'{"a": 1}', b'{"b": 1}'):
        client.put_manifest(NAME, "stable", raw, OCI_MANIFEST)
    assert ecr.repositories[NAME].images == {digest_of(raw): ["stable"], digest_of(b'{"a": 1}'): []}
    client.put_manifest(NAME, "build-1", b'{"a": 1}', OCI_MANIFEST)
    with pytest.raises(TagTaken):
        client.put_manifest(NAME, "build-1", b'{"b": 1}', OCI_MANIFEST)


def test_a_tag_of_another_image_is_told_and_left(ecr: ECR, client: RegistryClient) -> None:
    repository = ecr.has(NAME, images=1)
    before = dict(repository.images)
    with pytest.raises(TagTaken, match=r"'build-0' already exists .* immutable") as caught:
        client.put_manifest(NAME, "build-0", b'{"other": 1}', OCI_MANIFEST)
    assert not caught.value.retryable
    assert repository.images == before
    assert ecr.operations.count("PutImage") == 1


def test_a_manifest_that_was_stored_though_its_answer_was_lost_is_not_an_error(
    ecr: ECR, client: RegistryClient
) -> None:
    ecr.has(NAME).images[digest_of(b"{}")] = ["build-1"]
    ecr.instead("PutImage", refusal(500, "UNKNOWN", "Lost"))
    assert client.put_manifest(NAME, "build-1", b"{}", OCI_MANIFEST) == digest_of(b"{}")
    assert ecr.operations[-3:] == ["PutImage", "PutImage", "BatchGetImage"]


# --- pages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1_000, 1_001, 2_500])
def test_all_images_are_seen_page_by_page(ecr: ECR, control: RepositoryControl, count: int) -> None:
    ecr.has(NAME, images=count)
    tags = [f"build-{number}" for number in range(count)]
    assert [image.tag for image in control.list_images(NAME)] == tags
    assert [image.tags for image in control.describe_images(NAME)] == [(tag,) for tag in tags]
    pages = max(1, -(-count // 1_000))
    assert ecr.operations == ["ListImages"] * pages + ["DescribeImages"] * pages
    assert {asked["maxResults"] for _, asked in ecr.calls} == {PAGE_SIZE}


@pytest.mark.slow
def test_throttling_between_pages_loses_none(ecr: ECR, control: RepositoryControl) -> None:
    ecr.has(NAME, images=1_500)
    ecr.first_page_is_empty = True
    ecr.instead("DescribeImages", THROTTLED)
    assert len({image.digest for image in control.describe_images(NAME)}) == 1_500


# --- soon after a repository was created -----------------------------------------------------------------


def test_what_aws_has_not_noticed_yet_is_asked_again(ecr: ECR, control: RepositoryControl) -> None:
    control.create_repository(NAME, ours=False)
    ecr.instead("PutLifecyclePolicy", NOT_FOUND, NOT_FOUND)
    control.put_lifecycle_policy(NAME)
    assert ecr.operations == ["CreateRepository"] + ["PutLifecyclePolicy"] * 3


def test_a_repository_that_exists_and_is_not_known_yet_is_looked_into(
    ecr: ECR, control: RepositoryControl
) -> None:
    ecr.has(NAME, images=1)
    ecr.instead("ListImages", NOT_FOUND)
    with pytest.raises(RepositoryNotOurs):
        control.create_repository(NAME, ours=False)


def test_a_repository_that_is_never_there_is_told_after_a_while(
    ecr: ECR, control: RepositoryControl
) -> None:
    with pytest.raises(RegistryNotFound, match=NAME):
        control.put_lifecycle_policy(NAME)
    assert ecr.operations == ["PutLifecyclePolicy"] * 5


def test_a_push_into_a_new_repository_waits_until_it_is_known(
    ecr: ECR, client: RegistryClient, slept: list[float], tmp_path: Path
) -> None:
    """Every request may reach a part of ECR that knows less than the one before."""
    repository = ecr.has(NAME)
    for operation in (
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "PutImage",
    ):
        ecr.instead(operation, NAME_UNKNOWN)
    digest, size, source = layer(tmp_path, MIB)
    client.upload_blob(NAME, digest, size, source, check=lambda: None)
    client.put_manifest(NAME, "build-1", b"{}", OCI_MANIFEST)
    assert repository.blobs == {digest}
    assert list(repository.images.values()) == [["build-1"]]
    assert ecr.parts == [MIB]
    assert len(slept) == 4
