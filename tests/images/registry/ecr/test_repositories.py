"""The control plane against the local AWS, under the document's identities."""

from __future__ import annotations

import json

import boto3
import pytest

from images.errors import RegistryDenied, RegistryNotFound, RegistryUnavailable, RepositoryNotOurs
from images.registry.distribution.descriptors import OCI_CONFIG, OCI_MANIFEST, digest_of
from images.registry.ecr.permissions import BUILD_JOB_ACTIONS, REGISTRY_SERVER_ACTIONS
from images.registry.ecr.repositories import RepositoryControl
from ri_platform.local.services import REGION, free_port
from tests.local_aws import LocalAWS

pytestmark = pytest.mark.slow
PREFIX = "rime-managed-images"


def push_something(aws: LocalAWS, repository: str) -> str:
    with aws.client() as client:
        config = b"{}"
        path = f"/v2/{repository}/blobs/uploads/"
        answer = client._transport.request(
            "POST", path, params={"digest": digest_of(config)}, body=config
        )
        assert answer.status_code in (201, 202)
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [],
        }
        return client.put_manifest(
            repository, "build-1", json.dumps(manifest).encode(), OCI_MANIFEST
        )


def test_a_repositorys_life(aws: LocalAWS) -> None:
    control = aws.control("registry-server")
    name = f"{PREFIX}/life"
    control.create_repository(name, ours=False)
    control.create_repository(name, ours=False)  # a crash after the first: empty, so it is taken
    control.put_lifecycle_policy(name)
    assert control.list_images(name) == []
    digest = push_something(aws, name)
    assert [(image.digest, image.tag) for image in control.list_images(name)] == [
        (digest, "build-1")
    ]
    assert [(d.digest, d.tags) for d in control.describe_images(name)] == [(digest, ("build-1",))]
    control.create_repository(name, ours=True)
    assert control.delete_repository(name) is True
    assert control.delete_repository(name) is False
    with pytest.raises(RegistryNotFound):
        control.list_images(name)


def test_a_repository_with_images_that_we_did_not_make_is_not_adopted(aws: LocalAWS) -> None:
    control = aws.control("registry-server")
    name = f"{PREFIX}/foreign"
    control.create_repository(name, ours=False)
    push_something(aws, name)
    with pytest.raises(RepositoryNotOurs):
        control.create_repository(name, ours=False)
    assert len(control.list_images(name)) == 1


def test_build_jobs_may_not_manage_repositories(aws: LocalAWS) -> None:
    control = aws.control("build-jobs")
    for call in (
        lambda: control.create_repository(f"{PREFIX}/x", ours=False),
        lambda: control.delete_repository(f"{PREFIX}/x"),
        lambda: control.put_lifecycle_policy(f"{PREFIX}/x"),
    ):
        with pytest.raises(RegistryDenied, match="ecr:"):
            call()
    assert control.authorization().endpoint == aws.url


def test_the_registry_server_may_not_push_nor_leave_its_prefix(aws: LocalAWS) -> None:
    control = aws.control("registry-server")
    with pytest.raises(control.client.exceptions.ClientError, match="AccessDenied"):
        control.client.put_image(repositoryName=f"{PREFIX}/x", imageManifest="{}")
    with pytest.raises(control.client.exceptions.ClientError, match="AccessDenied"):
        control.client.create_repository(repositoryName="elsewhere/x")
    # The guard stops it here already; with another prefix configured, IAM still does.
    with pytest.raises(RegistryDenied):
        aws.control("registry-server", prefix="elsewhere").create_repository(
            "elsewhere/x", ours=False
        )


def test_the_actions_are_the_documents_lists() -> None:
    assert set(REGISTRY_SERVER_ACTIONS) == {
        "ecr:CreateRepository",
        "ecr:DeleteRepository",
        "ecr:DescribeImages",
        "ecr:PutLifecyclePolicy",
        "ecr:ListImages",
    }
    assert set(BUILD_JOB_ACTIONS) == {
        "ecr:BatchGetImage",
        "ecr:BatchCheckLayerAvailability",
        "ecr:CompleteLayerUpload",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    }


def test_an_aws_that_is_away_is_a_sentence() -> None:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y")
    control = RepositoryControl(
        prefix=PREFIX,
        region=REGION,
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        session=session,
    )
    with pytest.raises(RegistryUnavailable, match="could not be reached for ecr:ListImages"):
        control.list_images(f"{PREFIX}/x")
