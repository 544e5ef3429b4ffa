"""The local registry asks IAM on both planes, as ECR does."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import httpx
import pytest
from ministack.services import ecr

from images.registry.distribution.descriptors import digest_of
from images.registry.ecr import local_iam
from images.registry.ecr.permissions import BUILD_JOB_ACTIONS, iam_action
from ri_platform.local import registry_access, services
from tests.local_aws import LocalAWS

REPOSITORY = "rime-managed-images/access"
DIGEST = digest_of(b"layer")
PATHS = [
    (method, f"/v2/{REPOSITORY}/{rest}")
    for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
    for rest in (
        "manifests/build-1",
        f"manifests/{DIGEST}",
        f"blobs/{DIGEST}",
        "blobs/uploads/",
        "blobs/uploads/12345678",
    )
]


def answered(aws: LocalAWS, method: str, path: str, password: str) -> httpx.Response:
    return httpx.request(method, aws.url + path, auth=("AWS", password))


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_client_and_server_agree_on_the_action_of_a_request(method: str, path: str) -> None:
    verb = (ecr._parse_v2_path(path) or ("",))[0]
    try:
        ours = iam_action(method, path)
    except ValueError:
        ours = ""
    assert registry_access.action_of(method, verb) == ours
    assert ours in {"", *BUILD_JOB_ACTIONS}


@pytest.mark.slow
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !",
        "Bearer x",
        "Basic " + base64.b64encode(b"AWS:guessed").decode(),
        "Basic " + base64.b64encode(b"AWS:WyJ0ZXN0IiwgOTk5OTk5OTk5OV0=.0").decode(),
    ],
)
def test_without_a_token_there_is_a_challenge(aws: LocalAWS, authorization: str) -> None:
    answer = httpx.get(f"{aws.url}/v2/", headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.slow
def test_a_token_does_what_its_holder_may_and_no_more(aws: LocalAWS) -> None:
    builds, registry = aws.password("build-jobs"), aws.password("registry-server")
    with aws.repositories(REPOSITORY):
        path = f"/v2/{REPOSITORY}/blobs/uploads/"
        assert answered(aws, "POST", path, builds).status_code == 202
        refusal = answered(aws, "POST", path, registry)
        assert refusal.status_code == 403
        said = refusal.json()["errors"][0]
        assert said["code"] == "DENIED"
        assert (
            "user/ri-registry-server is not authorized to perform: ecr:Initiate" in said["message"]
        )
        outside = answered(aws, "POST", "/v2/elsewhere/blobs/uploads/", builds)
        assert outside.status_code == 403
        assert answered(aws, "DELETE", f"/v2/{REPOSITORY}/manifests/x", builds).status_code == 405
        assert answered(aws, "GET", "/v2/_catalog", builds).status_code == 405


@pytest.mark.slow
def test_a_token_ends_with_the_user_who_asked_for_it(aws: LocalAWS) -> None:
    iam = local_iam.root_client("iam", aws.url, services.REGION)
    iam.create_user(UserName="leaver")
    key = iam.create_access_key(UserName="leaver")["AccessKey"]
    allowed = {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}
    iam.put_user_policy(
        UserName="leaver",
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    leaver = LocalAWS(
        aws.url,
        {
            "leaver": {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }
        },
    )
    password = leaver.password("leaver")
    path = f"/v2/{REPOSITORY}/manifests/x"
    assert answered(aws, "GET", path, password).status_code == 404
    iam.delete_access_key(UserName="leaver", AccessKeyId=key["AccessKeyId"])
    refusal = answered(aws, "GET", path, password)
    assert refusal.status_code == 403
    assert "token has expired" in refusal.text


@pytest.mark.slow
def test_a_layer_is_mounted_where_the_account_and_the_policies_let_it(
    aws: LocalAWS, tmp_path: Path
) -> None:
    root = local_iam.root_client("ecr", aws.url, services.REGION)
    source, target = f"{REPOSITORY}-source", f"{REPOSITORY}-target"
    (tmp_path / "layer").write_bytes(b"layer")
    with aws.repositories(source, target), aws.client() as client:
        client.upload_blob(source, DIGEST, 5, tmp_path / "layer", check=lambda: None)
        root.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
        try:
            assert client.mount_blob(target, DIGEST, source) is False
        finally:
            root.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
        assert client.mount_blob(target, DIGEST, "elsewhere") is False
        assert client.has_blob(target, DIGEST) is False
        assert client.mount_blob(target, DIGEST, source) is True
        # The account's settings are an administrator's, not the platform's.
        with pytest.raises(root.exceptions.ClientError, match="AccessDenied"):
            aws.control("build-jobs").client.put_account_setting(
                name="BLOB_MOUNTING", value="DISABLED"
            )


def test_a_token_is_good_for_twelve_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = registry_access.Tokens(tmp_path / "secret")
    token, expires = tokens.issue("AKIA")
    text = base64.b64encode(f"AWS:{token}".encode()).decode()
    assert tokens.holder(f"Basic {text}") == "AKIA"
    monkeypatch.setattr(time, "time", lambda: expires)
    with pytest.raises(registry_access.TokenExpired):
        tokens.holder(f"Basic {text}")
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
