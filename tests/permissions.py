"""The local AWS with one action less: what an instance does whose role lacks it."""

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
    iam = local_iam.root_client("iam", aws.url, services.REGION)
    account = local_iam.root_client("sts", aws.url, services.REGION).get_caller_identity()[
        "Account"
    ]
    arn = repositories_arn(DEFAULT_PREFIX, partition="aws", region=services.REGION, account=account)

    def put(document: dict[str, Any]) -> None:
        iam.put_user_policy(
            UserName=local_iam.user_name(identity),
            PolicyName=local_iam.POLICY_NAME,
            PolicyDocument=json.dumps(document),
        )

    whole = policy_document(identity, arn)
    less = json.loads(json.dumps(whole))
    for statement in less["Statement"]:
        actions = statement["Action"]
        listed = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [item for item in listed if item != action]
    less["Statement"] = [statement for statement in less["Statement"] if statement["Action"]]
    assert less != whole
    put(less)
    try:
        yield
    finally:
        put(whole)
