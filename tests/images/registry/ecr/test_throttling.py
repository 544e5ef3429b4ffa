"""Real ECR throttles; what is asked again, how often, and what becomes of it in the end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from images.errors import (
    RegistryError,
    RegistryUnavailable,
)
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST
from images.registry.ecr.repositories import RepositoryControl
from tests.images.registry.ecr import ecr_stub
from tests.images.registry.ecr.ecr_stub import ECR, THROTTLED, TOO_MANY, fault, refusal
from tests.images.registry.ecr.ways import MIB, NAME, layer


def test_a_throttled_call_is_made_again(ecr: ECR, control: RepositoryControl) -> None:
    ecr.has(NAME, images=1)
    ecr.instead("ListImages", THROTTLED, THROTTLED)
    assert [image.tag for image in control.list_images(NAME)] == ["build-0"]
    assert ecr.operations == ["ListImages"] * 3


@pytest.mark.parametrize(
    "answer",
    [
        THROTTLED,
        fault("TooManyRequestsException", "Rate exceeded", 429),
        fault("ServerException", "Service is busy", 500),
        fault("ServiceUnavailableException", "Service is busy", 503),
    ],
    ids=lambda answer: str(answer.status),
)
def test_a_call_that_stays_throttled_is_a_sentence_and_may_be_tried_later(
    ecr: ECR, control: RepositoryControl, answer: ecr_stub.Answer
) -> None:
    ecr.instead("CreateRepository", *[answer] * 4)
    with pytest.raises(RegistryUnavailable, match=r"AWS is too busy for ecr:CreateRepository"):
        control.create_repository(NAME, ours=False)
    assert RegistryUnavailable.retryable
    assert ecr.operations == ["CreateRepository"] * 4


def test_a_quota_that_is_used_up_is_not_taken_for_throttling(
    ecr: ECR, control: RepositoryControl
) -> None:
    said = "The operation did not succeed because it would have exceeded a service limit"
    ecr.instead("CreateRepository", *[fault("LimitExceededException", said)] * 4)
    with pytest.raises(RegistryError, match="exceeded a service limit") as caught:
        control.create_repository(NAME, ours=False)
    assert not caught.value.retryable


@pytest.mark.slow
def test_throttled_parts_are_sent_again_and_arrive_once(
    ecr: ECR, client: RegistryClient, tmp_path: Path
) -> None:
    repository = ecr.has(NAME)
    ecr.instead("InitiateLayerUpload", TOO_MANY, refusal(503, "UNAVAILABLE", "Busy"))
    ecr.instead("UploadLayerPart", TOO_MANY)
    ecr.instead("CompleteLayerUpload", TOO_MANY)
    digest, size, source = layer(tmp_path, 12 * MIB)
    client.upload_blob(NAME, digest, size, source, check=lambda: None)
    assert repository.blobs == {digest}
    assert ecr.parts == [10 * MIB, 2 * MIB]
    counted = Counter(ecr.operations)
    assert counted["InitiateLayerUpload"] == 3
    assert counted["UploadLayerPart"] == 3
    assert counted["CompleteLayerUpload"] == 2


@pytest.mark.slow
def test_a_data_plane_that_stays_throttled_may_be_tried_later(
    ecr: ECR, client: RegistryClient
) -> None:
    ecr.has(NAME)
    ecr.instead("PutImage", *[TOO_MANY] * 5)
    with pytest.raises(RegistryUnavailable, match="TOOMANYREQUESTS Rate exceeded"):
        client.put_manifest(NAME, "build-1", b"{}", OCI_MANIFEST)
    assert ecr.operations.count("PutImage") == 5
