"""What real Amazon ECR does and the local AWS does not, against a server that answers as ECR would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import stamina
from botocore.retries.standard import ExponentialBackoff

from images.errors import (
    RegistryError,
    RegistryNotFound,
    RegistryUnavailable,
    RepositoryNotOurs,
    TagTaken,
)
from images.registry.connection import TokenSource
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, digest_of
from images.registry.distribution.upload import CHUNK, MAX_PARTS
from images.registry.ecr.endpoints import registry_endpoint
from images.registry.ecr.repositories import PAGE_SIZE, RepositoryControl
from tests.images.registry.ecr import ecr_stub
from tests.images.registry.ecr.ecr_stub import ECR, EXPIRED, THROTTLED, TOO_MANY, fault, refusal

PREFIX = "rime-managed-images"
NAME = f"{PREFIX}/image"
NOT_FOUND = fault("RepositoryNotFoundException", ecr_stub.not_there(NAME))
UPLOAD_UNKNOWN = refusal(404, "BLOB_UPLOAD_UNKNOWN", "The upload does not exist")
NAME_UNKNOWN = refusal(404, "NAME_UNKNOWN", ecr_stub.not_there(NAME))
MIB = 1 << 20


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[ECR]:
    # Only the waiting between boto3's attempts is left out, not the attempts.
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)
    for variable in ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    # Nor is there between ours: tests/test_retries.py waits.
    with ecr_stub.running() as server, stamina.set_testing(True, attempts=10, cap=True):
        yield server


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def control(ecr: ECR) -> RepositoryControl:
    return control_of(ecr.url, "us-east-1")


def control_of(endpoint_url: str | None, region: str) -> RepositoryControl:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y")
    return RepositoryControl(
        prefix=PREFIX, region=region, endpoint_url=endpoint_url, session=session
    )


@pytest.fixture
def client(control: RepositoryControl, slept: list[float]) -> Iterator[RegistryClient]:
    tokens = TokenSource(control)
    with RegistryClient(
        tokens.authorization().endpoint, credentials=tokens, guard=str, sleep=slept.append
    ) as client:
        yield client


def layer(folder: Path, size: int) -> tuple[str, int, Path]:
    """Digest, size and file of a layer in which no part is like another."""
    data = b"".join(number.to_bytes(4, "big") * (MIB // 4) for number in range(size // MIB + 1))
    source = folder / "layer"
    source.write_bytes(data[:size])
    return digest_of(data[:size]), size, source


# --- throttling ----------------------------------------------------------------------------------------


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


def test_throttled_parts_are_sent_again_and_arrive_once(
    ecr: ECR, client: RegistryClient, slept: list[float], tmp_path: Path
) -> None:
    repository = ecr.has(NAME)
    ecr.instead("InitiateLayerUpload", TOO_MANY, refusal(503, "UNAVAILABLE", "Busy"))
    ecr.instead("UploadLayerPart", TOO_MANY)
    ecr.instead("CompleteLayerUpload", TOO_MANY)
    digest, size, source = layer(tmp_path, 12 * MIB)
    client.upload_blob(NAME, digest, size, source)
    assert repository.blobs == {digest}
    assert ecr.parts == [10 * MIB, 2 * MIB]
    assert len(slept) == 4


def test_a_data_plane_that_stays_throttled_may_be_tried_later(
    ecr: ECR, client: RegistryClient
) -> None:
    ecr.has(NAME)
    ecr.instead("PutImage", *[TOO_MANY] * 5)
    with pytest.raises(RegistryUnavailable, match="TOOMANYREQUESTS Rate exceeded"):
        client.put_manifest(NAME, "build-1", b"{}", OCI_MANIFEST)
    assert ecr.operations.count("PutImage") == 5


# --- a repository that is not ours ---------------------------------------------------------------------


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


# --- immutability --------------------------------------------------------------------------------------


def test_a_repository_is_made_with_tags_that_cannot_be_moved(
    ecr: ECR, control: RepositoryControl
) -> None:
    control.create_repository(NAME, ours=False)
    assert ecr.repositories[NAME].mutability == "IMMUTABLE"


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


# --- pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1_000, 1_001, 2_500])
def test_all_images_are_seen_page_by_page(ecr: ECR, control: RepositoryControl, count: int) -> None:
    ecr.has(NAME, images=count)
    tags = [f"build-{number}" for number in range(count)]
    assert [image.tag for image in control.list_images(NAME)] == tags
    assert [image.tags for image in control.describe_images(NAME)] == [(tag,) for tag in tags]
    pages = max(1, -(-count // 1_000))
    assert ecr.operations == ["ListImages"] * pages + ["DescribeImages"] * pages
    assert {asked["maxResults"] for _, asked in ecr.calls} == {PAGE_SIZE}


def test_throttling_between_pages_loses_none(ecr: ECR, control: RepositoryControl) -> None:
    ecr.has(NAME, images=1_500)
    ecr.first_page_is_empty = True
    ecr.instead("DescribeImages", THROTTLED)
    assert len({image.digest for image in control.describe_images(NAME)}) == 1_500


# --- regions, partitions and kinds of endpoints --------------------------------------------------------

ACCOUNT = "123456789012"
ENDPOINTS = [
    # region, FIPS, dual stack, the API's host, the plain registry, the registry to talk to
    (
        "us-east-1",
        False,
        False,
        "api.ecr.us-east-1.amazonaws.com",
        "dkr.ecr.us-east-1.amazonaws.com",
        "dkr.ecr.us-east-1.amazonaws.com",
    ),
    (
        "us-east-2",
        True,
        False,
        "api.ecr-fips.us-east-2.amazonaws.com",
        "dkr.ecr.us-east-2.amazonaws.com",
        "dkr.ecr-fips.us-east-2.amazonaws.com",
    ),
    (
        "eu-central-1",
        False,
        True,
        "ecr.eu-central-1.api.aws",
        "dkr.ecr.eu-central-1.amazonaws.com",
        "dkr-ecr.eu-central-1.on.aws",
    ),
    (
        "us-west-2",
        True,
        True,
        "ecr-fips.us-west-2.api.aws",
        "dkr.ecr.us-west-2.amazonaws.com",
        "dkr-ecr-fips.us-west-2.on.aws",
    ),
    (
        "us-gov-west-1",
        True,
        False,
        "api.ecr-fips.us-gov-west-1.amazonaws.com",
        "dkr.ecr.us-gov-west-1.amazonaws.com",
        "dkr.ecr-fips.us-gov-west-1.amazonaws.com",
    ),
    (
        "cn-north-1",
        False,
        False,
        "api.ecr.cn-north-1.amazonaws.com.cn",
        "dkr.ecr.cn-north-1.amazonaws.com.cn",
        "dkr.ecr.cn-north-1.amazonaws.com.cn",
    ),
    (
        "cn-northwest-1",
        False,
        True,
        "ecr.cn-northwest-1.api.amazonwebservices.com.cn",
        "dkr.ecr.cn-northwest-1.amazonaws.com.cn",
        "dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
    ),
]


@pytest.mark.parametrize(("region", "fips", "dual_stack", "api", "plain", "registry"), ENDPOINTS)
def test_both_planes_are_found_in_every_partition(
    ecr: ECR,
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    fips: bool,
    dual_stack: bool,
    api: str,
    plain: str,
    registry: str,
) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", str(fips).lower())
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", str(dual_stack).lower())
    control = control_of(None, region)
    asked: list[str] = []

    def to_the_server(request: Any, **rest: object) -> None:
        asked.append(request.url)
        request.url = f"{ecr.url}/"

    control.client.meta.events.register("before-send.ecr", to_the_server)
    ecr.proxy_endpoint = f"https://{ACCOUNT}.{plain}"
    authorization = control.authorization()
    assert asked == [f"https://{api}/"]
    assert authorization.endpoint == f"https://{ACCOUNT}.{registry}"
    assert (authorization.username, authorization.password) == ("AWS", "token-0")


@pytest.mark.parametrize(
    ("domain", "region", "fips", "dual_stack", "variable"),
    [
        ("c2s.ic.gov", "us-iso-east-1", False, True, "AWS_USE_DUALSTACK_ENDPOINT"),
        ("amazonaws.com.cn", "cn-north-1", True, False, "AWS_USE_FIPS_ENDPOINT"),
        ("amazonaws.com.cn", "cn-north-1", True, True, "AWS_USE_FIPS_ENDPOINT"),
    ],
)
def test_an_address_that_does_not_exist_is_not_made_up(
    domain: str, region: str, fips: bool, dual_stack: bool, variable: str
) -> None:
    with pytest.raises(RegistryError, match=f"Registries of {domain} have no") as caught:
        registry_endpoint(
            f"https://{ACCOUNT}.dkr.ecr.{region}.{domain}", fips=fips, dual_stack=dual_stack
        )
    assert variable in caught.value.hint


# --- soon after a repository was created ---------------------------------------------------------------


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
    client.upload_blob(NAME, digest, size, source)
    client.put_manifest(NAME, "build-1", b"{}", OCI_MANIFEST)
    assert repository.blobs == {digest}
    assert list(repository.images.values()) == [["build-1"]]
    assert ecr.parts == [MIB]
    assert len(slept) == 4


# --- tokens and parts ----------------------------------------------------------------------------------


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
def test_an_upload_that_was_forgotten_begins_anew(
    ecr: ECR, client: RegistryClient, tmp_path: Path, operation: str
) -> None:
    """An upload ends with a part of the service that restarts, or with time."""
    repository = ecr.has(NAME)
    ecr.instead(operation, UPLOAD_UNKNOWN)
    digest, size, source = layer(tmp_path, 12 * MIB)
    client.upload_blob(NAME, digest, size, source)
    assert repository.blobs == {digest}
    assert ecr.operations.count("InitiateLayerUpload") == 2


def test_an_upload_that_is_forgotten_each_time_is_given_up(
    ecr: ECR, client: RegistryClient, tmp_path: Path
) -> None:
    ecr.has(NAME)
    ecr.instead("UploadLayerPart", *[UPLOAD_UNKNOWN] * 10)
    with pytest.raises(RegistryUnavailable, match="no longer knows the upload"):
        client.upload_blob(NAME, *layer(tmp_path, MIB))
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
def test_parts_are_as_large_as_ecr_takes_them(
    ecr: ECR, client: RegistryClient, tmp_path: Path, size: int, parts: list[int]
) -> None:
    repository = ecr.has(NAME)
    digest, _, source = layer(tmp_path, size)
    client.upload_blob(NAME, digest, size, source)
    assert ecr.parts == parts
    assert repository.blobs == {digest}


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
