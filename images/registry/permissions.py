"""The AWS actions that the document grants, as data, and the policies made of them.

Two identities: the registry server manages repositories, build jobs pull and push. Nothing else of
AWS is ever called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from images.registry.naming import normalize_prefix

REGISTRY_SERVER_ACTIONS = (
    "ecr:CreateRepository",
    "ecr:DeleteRepository",
    "ecr:DescribeImages",
    "ecr:PutLifecyclePolicy",
    "ecr:ListImages",
)
BUILD_JOB_ACTIONS = (
    "ecr:BatchGetImage",
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
# For all resources: a token is the account's, not a repository's.
AUTHORIZATION_ACTION = "ecr:GetAuthorizationToken"


def policy_document(
    actions: Sequence[str],
    *,
    prefix: str,
    partition: str = "aws",
    region: str = "*",
    account: str = "*",
) -> dict[str, Any]:
    """An IAM policy: `actions` on repositories under `prefix`, and the token for all resources."""
    repositories = f"arn:{partition}:ecr:{region}:{account}:repository/{normalize_prefix(prefix)}/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(actions), "Resource": repositories},
            {"Effect": "Allow", "Action": AUTHORIZATION_ACTION, "Resource": "*"},
        ],
    }


_ROUTES = (
    (r"GET|HEAD", r"/v2/.+/manifests/[^/]+", "ecr:BatchGetImage"),
    (r"PUT", r"/v2/.+/manifests/[^/]+", "ecr:PutImage"),
    (r"GET", r"/v2/.+/blobs/sha256:[0-9a-f]+", "ecr:GetDownloadUrlForLayer"),
    (r"HEAD", r"/v2/.+/blobs/sha256:[0-9a-f]+", "ecr:BatchCheckLayerAvailability"),
    (r"POST", r"/v2/.+/blobs/uploads/?", "ecr:InitiateLayerUpload"),
    (r"PATCH", r"/v2/.+/blobs/uploads/.+", "ecr:UploadLayerPart"),
    (r"PUT", r"/v2/.+/blobs/uploads/.+", "ecr:CompleteLayerUpload"),
)


def iam_action(method: str, path: str) -> str:
    """The action that ECR asks of the caller for a distribution request.

    `path` has no query. Raises `ValueError` for a request that no documented action covers: our
    client must never send one.
    """
    for methods, pattern, action in _ROUTES:
        if re.fullmatch(methods, method) and re.fullmatch(pattern, path):
            return action
    raise ValueError(f"{method} {path} is covered by no documented action")
