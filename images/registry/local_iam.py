"""The document's two identities as IAM users of the local AWS, with exactly the documented actions.

Only the local AWS: in AWS itself, Terraform makes the roles.
"""

from __future__ import annotations

import contextlib
import json

import boto3

from images.registry.permissions import (
    BUILD_JOB_ACTIONS,
    REGISTRY_SERVER_ACTIONS,
    policy_document,
)

IDENTITIES = {"registry-server": REGISTRY_SERVER_ACTIONS, "build-jobs": BUILD_JOB_ACTIONS}
# The local AWS takes this pair for its root user.
ROOT_KEY = "test"


def bootstrap(
    endpoint_url: str, region: str, prefix: str, known: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    """Make the users and their policies; returns each identity's keys as environment variables.

    Keys in `known` that the local AWS still has are kept. Doing it again changes nothing else.
    """
    iam = boto3.client(
        "iam",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_KEY,
    )
    keys = {}
    for identity, actions in IDENTITIES.items():
        user = f"ri-{identity}"
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName=user)
        iam.put_user_policy(
            UserName=user,
            PolicyName="documented-actions",
            PolicyDocument=json.dumps(policy_document(actions, prefix=prefix)),
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
