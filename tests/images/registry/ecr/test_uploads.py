"""Tokens that end and uploads that are forgotten, in the parts that real ECR takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.errors import (
    RegistryError,
    RegistryUnavailable,
)
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, digest_of
from images.registry.distribution.upload import CHUNK, MAX_PARTS
from tests.images.registry.ecr import ecr_stub
from tests.images.registry.ecr.ecr_stub import ECR, EXPIRED, refusal
from tests.images.registry.ecr.ways import MIB, NAME, layer

UPLOAD_UNKNOWN = refusal(404, "BLOB_UPLOAD_UNKNOWN", "The upload does not exist")


@pytest.mark.slow
def test_a_token_that_ends_in_the_middle_of_a_push_is_replaced(
    ecr: ECR, client: RegistryClient, tmp_path: Path
) -> None:
    """It ends with the role's session, hours before `expiresAt`; ECR answers 403 without a challenge."""
    repository = ecr.has(NAME)
    digest, size, source = layer(tmp_path, 25 * MIB)
    pieces = 0

    def after_the_first_part() -> None:
        nonlocal pieces
        pieces += 1
        if pieces == 12:
            ecr.expire_tokens()

    client.upload_blob(NAME, digest, size, source, check=after_the_first_part)
    assert repository.blobs == {digest}
    assert ecr.operations.count("InitiateLayerUpload") == 1
    assert ecr.operations.count("GetAuthorizationToken") == 2
    ecr.expire_tokens()
    assert client.has_blob(NAME, digest_of(b"missing")) is False  # HEAD: a 403 without a word
    assert ecr.operations.count("GetAuthorizationToken") == 3


@pytest.mark.parametrize("operation", ["UploadLayerPart", "CompleteLayerUpload"])
@pytest.mark.slow
def test_an_upload_that_was_forgotten_begins_anew(
    ecr: ECR, client: RegistryClient, tmp_path: Path, operation: str
) -> None:
    """An upload ends with a part of the service that restarts, or with time."""
    repository = ecr.has(NAME)
    ecr.instead(operation, UPLOAD_UNKNOWN)
    digest, size, source = layer(tmp_path, 12 * MIB)
    client.upload_blob(NAME, digest, size, source, check=lambda: None)
    assert repository.blobs == {digest}
    assert ecr.operations.count("InitiateLayerUpload") == 2


def test_an_upload_that_is_forgotten_each_time_is_given_up(
    ecr: ECR, client: RegistryClient, tmp_path: Path
) -> None:
    ecr.has(NAME)
    ecr.instead("UploadLayerPart", *[UPLOAD_UNKNOWN] * 10)
    with pytest.raises(RegistryUnavailable, match="no longer knows the upload"):
        client.upload_blob(NAME, *layer(tmp_path, MIB), check=lambda: None)
    assert ecr.operations.count("InitiateLayerUpload") == 3


def test_a_token_that_is_never_taken_is_not_asked_for_without_end(
    ecr: ECR, client: RegistryClient
) -> None:
    ecr.has(NAME)
    ecr.instead("PutImage", *[EXPIRED] * 10)
    with pytest.raises(RegistryError, match="token has expired"):
        client.put_manifest(NAME, "build-1", b"{}", OCI_MANIFEST)
    assert ecr.operations.count("PutImage") == 2
    assert ecr.operations.count("GetAuthorizationToken") == 2


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (1, [1]),
        (5 * MIB - 1, [5 * MIB - 1]),
        (10 * MIB, [10 * MIB]),
        (10 * MIB + 1, [10 * MIB, 1]),
        (25 * MIB, [10 * MIB, 10 * MIB, 5 * MIB]),
    ],
)
@pytest.mark.slow
def test_parts_are_as_large_as_ecr_takes_them(
    ecr: ECR, client: RegistryClient, tmp_path: Path, size: int, parts: list[int]
) -> None:
    repository = ecr.has(NAME)
    digest, _, source = layer(tmp_path, size)
    client.upload_blob(NAME, digest, size, source, check=lambda: None)
    assert ecr.parts == parts
    assert repository.blobs == {digest}


@pytest.mark.slow
def test_a_layer_of_more_parts_than_ecr_takes_is_refused_before_anything_is_sent(
    ecr: ECR, client: RegistryClient, tmp_path: Path
) -> None:
    assert CHUNK * MAX_PARTS == ecr_stub.MAX_PART * ecr_stub.MAX_PARTS
    ecr.has(NAME)
    digest, _, source = layer(tmp_path, 1)

    class Begun(Exception):
        pass

    def begun() -> None:
        raise Begun

    with pytest.raises(RegistryError, match="more than the registry takes") as caught:
        client.upload_blob(NAME, digest, CHUNK * MAX_PARTS + 1, source, check=begun)
    assert "largest library" in caught.value.hint
    assert ecr.operations == ["GetAuthorizationToken"]
    with pytest.raises(Begun):
        client.upload_blob(NAME, digest, CHUNK * MAX_PARTS, source, check=begun)
