"""The local AWS with one action less: what an instance does whose role lacks it, everywhere or somewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from images.registry.ecr import local_iam
from images.registry.ecr.permissions import policy_document, repositories_arn
from images.registry.naming import DEFAULT_PREFIX
from ri_platform.local import services
from tests.local_aws import LocalAWS


@contextmanager
def without(aws: LocalAWS, identity: str, action: str) -> Iterator[None]:
    """The local AWS enforces the identity's policy as Terraform renders it, less one action."""
    whole = whole_policy(aws, identity)
    less = json.loads(json.dumps(whole))
    for statement in less["Statement"]:
        actions = statement["Action"]
        listed = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [item for item in listed if item != action]
    less["Statement"] = [statement for statement in less["Statement"] if statement["Action"]]
    assert less != whole
    with policy(aws, identity, less):
        yield


@contextmanager
def denying(aws: LocalAWS, identity: str, action: str, repository: str) -> Iterator[None]:
    """The identity is denied an action in one repository, as by a policy that somebody wrote."""
    whole = whole_policy(aws, identity)
    arn = arn_of(aws).rpartition(":repository/")[0] + f":repository/{repository}"
    denied = {"Effect": "Deny", "Action": [action], "Resource": [arn]}
    with policy(aws, identity, {**whole, "Statement": [*whole["Statement"], denied]}):
        yield


@contextmanager
def policy(aws: LocalAWS, identity: str, document: dict[str, Any]) -> Iterator[None]:
    put(aws, identity, document)
    try:
        yield
    finally:
        put(aws, identity, whole_policy(aws, identity))


def put(aws: LocalAWS, identity: str, document: dict[str, Any]) -> None:
    local_iam.root_client("iam", aws.url, services.REGION).put_user_policy(
        UserName=local_iam.user_name(identity),
        PolicyName=local_iam.POLICY_NAME,
        PolicyDocument=json.dumps(document),
    )


def whole_policy(aws: LocalAWS, identity: str) -> dict[str, Any]:
    return policy_document(identity, arn_of(aws))


def arn_of(aws: LocalAWS) -> str:
    """Of all repositories under the prefix."""
    caller = local_iam.root_client("sts", aws.url, services.REGION).get_caller_identity()
    return repositories_arn(
        DEFAULT_PREFIX, partition="aws", region=services.REGION, account=caller["Account"]
    )
