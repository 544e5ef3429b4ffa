"""The AWS actions that the document grants, as data, and the policies that grant them.

Two identities: the registry server manages repositories, build jobs pull and push. Nothing else of
AWS is ever called.
"""

from __future__ import annotations

import json
import re
from string import Template
from typing import Any

from images.registry.naming import normalize_prefix
from ri_platform.paths import RESOURCES

# `templatefile` of Terraform and `string.Template` agree on what is used there: `${name}`.
POLICIES = RESOURCES / "terraform/policies"

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


IDENTITIES = {"registry-server": REGISTRY_SERVER_ACTIONS, "build-jobs": BUILD_JOB_ACTIONS}


def repositories_arn(prefix: str, *, partition: str, region: str, account: str) -> str:
    """The ARN of all repositories under `prefix`, as the Terraform module writes it."""
    return f"arn:{partition}:ecr:{region}:{account}:repository/{normalize_prefix(prefix)}/*"


def policy_document(identity: str, repositories: str) -> dict[str, Any]:
    """The IAM policy of one of `IDENTITIES` for `repositories`, an ARN.

    Rendered from the Terraform module's own template, so that what runs here is what runs in AWS.
    """
    template = (POLICIES / f"{identity}.json.tftpl").read_text(encoding="utf-8")
    rendered = Template(template).substitute(repositories=repositories)
    return dict(json.loads(rendered))


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
