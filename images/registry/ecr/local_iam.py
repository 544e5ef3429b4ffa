"""The document's two identities as IAM users of the local AWS, under the Terraform module's policies.

Only the local AWS: in AWS itself, Terraform makes roles.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import boto3

from images.registry.ecr.permissions import IDENTITIES, policy_document, repositories_arn

# The local AWS takes this pair for its root user.
ROOT_KEY = "test"
POLICY_NAME = "documented-actions"


def bootstrap(
    endpoint_url: str, region: str, prefix: str, known: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    """Make the users and their policies; returns each identity's keys as environment variables.

    Keys in `known` that the local AWS still has are kept. Doing it again changes nothing else.
    """
    iam = root_client("iam", endpoint_url, region)
    account = root_client("sts", endpoint_url, region).get_caller_identity()["Account"]
    repositories = repositories_arn(prefix, partition="aws", region=region, account=account)
    keys = {}
    for identity in IDENTITIES:
        user = user_name(identity)
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName=user)
        iam.put_user_policy(
            UserName=user,
            PolicyName=POLICY_NAME,
            PolicyDocument=json.dumps(policy_document(identity, repositories)),
        )
        there = {
            item["AccessKeyId"] for item in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        }
        kept = known.get(identity, {})
        if kept.get("AWS_ACCESS_KEY_ID") not in there:
            made = iam.create_access_key(UserName=user)["AccessKey"]
            kept = {
                "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
            }
        keys[identity] = kept
    return keys


def user_name(identity: str) -> str:
    return f"ri-{identity}"


def root_client(service: str, endpoint_url: str, region: str) -> Any:
    """A client of the local AWS with every permission."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_KEY,
    )
