"""Amazon ECR's control plane through boto3. Every repository name passes the prefix guard first.

Operations: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Operations.html. Throttling
and AccessDenied are not in the service model, so errors are told apart by `ClientError`'s code.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from images.errors import (
    RegistryDenied,
    RegistryError,
    RegistryNotFound,
    RegistryUnavailable,
    RepositoryMissing,
    RepositoryNotOurs,
)
from images.registry import naming, tags
from images.registry.ecr.endpoints import registry_endpoint
from images.registry.ecr.lifecycle import lifecycle_policy
from ri_platform.metrics import AWS_CALLS
from ri_platform.retries import SETTLE

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

# The most that ECR gives at once.
PAGE_SIZE = 1000
# Seconds without an answer after which a call is tried again, and fails in the end.
READ_SECONDS = 30

_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "ExpiredToken",
        "MissingAuthenticationToken",
    }
)
_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "SlowDown",
        "TooManyRequestsException",
    }
)


@dataclass(frozen=True)
class Authorization:
    """Credentials for the data plane; `endpoint` is the registry's URL."""

    endpoint: str
    username: str
    password: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class ImageId:
    digest: str
    tag: str | None


@dataclass(frozen=True)
class ImageDetail:
    """An image as ECR describes it; `size_bytes` is the compressed size."""

    digest: str
    tags: tuple[str, ...]
    size_bytes: int
    pushed_at: datetime | None


class RepositoryControl:
    """Repositories under one prefix, as the identity that boto3's default chain finds."""

    def __init__(
        self,
        *,
        prefix: str,
        region: str,
        endpoint_url: str | None = None,
        registry_override: str = "",
        session: boto3.Session | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._prefix = naming.normalize_prefix(prefix)
        self._registry_override = registry_override
        self.client: ECRClient = (session or boto3.Session()).client(
            "ecr",
            region_name=region,
            endpoint_url=endpoint_url,
            config=Config(
                connect_timeout=5,
                read_timeout=read_seconds,
                retries={"mode": "standard", "total_max_attempts": 4},
            ),
        )

    def create_repository(self, name: str, *, ours: bool) -> bool:
        """Create a repository in which only `latest` and channels move; one that is ours already is fine.

        `ours` says that our records show us as its creator. Without that, an existing repository is
        taken only if it is empty, which is what a crash between AWS's answer and our record leaves.
        Raises `RepositoryNotOurs` otherwise. Returns whether it was created just now.
        """
        guarded = self._guard(name)
        try:
            with vendor_errors("ecr:CreateRepository"):
                self.client.create_repository(
                    repositoryName=guarded,
                    imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                    imageTagMutabilityExclusionFilters=[
                        {"filterType": "WILDCARD", "filter": pattern} for pattern in tags.MOVING
                    ],
                )
        except AlreadyExists as error:
            if ours or not SETTLE(RegistryNotFound, self.list_images, guarded):
                return False
            raise RepositoryNotOurs(
                f"The registry has a repository {guarded} with images in it "
                "that this instance did not create.",
                hint="Choose another name, or let an operator move that repository away.",
            ) from error
        return True

    def put_lifecycle_policy(self, name: str, expiring: Sequence[str] = ()) -> None:
        """Let untagged images expire after a day, and those with these tags; others never do."""
        guarded = self._guard(name)
        text = json.dumps(lifecycle_policy(expiring))

        def put() -> None:
            with vendor_errors("ecr:PutLifecyclePolicy"):
                self.client.put_lifecycle_policy(repositoryName=guarded, lifecyclePolicyText=text)

        # AWS may not have noticed everywhere yet that the repository was created.
        SETTLE(RegistryNotFound, put)

    def list_images(self, name: str) -> list[ImageId]:
        guarded = self._guard(name)
        with vendor_errors("ecr:ListImages"):
            pages = self.client.get_paginator("list_images").paginate(
                repositoryName=guarded, PaginationConfig={"PageSize": PAGE_SIZE}
            )
            return [
                ImageId(item["imageDigest"], item.get("imageTag"))
                for page in pages
                for item in page["imageIds"]
            ]

    def describe_images(self, name: str) -> list[ImageDetail]:
        guarded = self._guard(name)
        with vendor_errors("ecr:DescribeImages"):
            pages = self.client.get_paginator("describe_images").paginate(
                repositoryName=guarded, PaginationConfig={"PageSize": PAGE_SIZE}
            )
            return [
                ImageDetail(
                    digest=item["imageDigest"],
                    tags=tuple(item.get("imageTags", ())),
                    size_bytes=item.get("imageSizeInBytes", 0),
                    pushed_at=item.get("imagePushedAt"),
                )
                for page in pages
                for item in page["imageDetails"]
            ]

    def delete_repository(self, name: str) -> bool:
        """Delete a repository with all images in it; False if there was none."""
        guarded = self._guard(name)
        try:
            with vendor_errors("ecr:DeleteRepository"):
                self.client.delete_repository(repositoryName=guarded, force=True)
        except RegistryNotFound:
            return False
        return True

    def authorization(self) -> Authorization:
        """A token for the data plane, valid for 12 hours or until the role's session ends."""
        with vendor_errors("ecr:GetAuthorizationToken"):
            data = self.client.get_authorization_token()["authorizationData"][0]
        username, _, password = (
            base64.b64decode(data["authorizationToken"]).decode("utf-8").partition(":")
        )
        config = self.client.meta.config
        endpoint = self._registry_override or registry_endpoint(
            data["proxyEndpoint"],
            fips=bool(getattr(config, "use_fips_endpoint", False)),
            dual_stack=bool(getattr(config, "use_dualstack_endpoint", False)),
        )
        return Authorization(
            endpoint=endpoint.rstrip("/"),
            username=username,
            password=password,
            expires_at=data["expiresAt"],
        )

    def _guard(self, name: str) -> str:
        return naming.guard(self._prefix, name)


class AlreadyExists(RegistryError):
    """CreateRepository found the name taken; never leaves this module."""

    code = "repository_exists"


@contextmanager
def vendor_errors(action: str) -> Iterator[None]:
    """Turn what boto3 raises into our errors, naming the IAM action that was tried, and count the call."""
    try:
        yield
    except ClientError as error:
        AWS_CALLS.labels(action, error.response.get("Error", {}).get("Code", "")).inc()
        raise translate_error(error, action) from error
    except NoCredentialsError as error:
        AWS_CALLS.labels(action, "NoCredentials").inc()
        raise RegistryUnavailable(
            f"This process has no AWS identity, so it cannot call {action}.",
            hint="An operator must give this worker its role, or AWS keys in its environment.",
        ) from error
    except BotoCoreError as error:
        AWS_CALLS.labels(action, type(error).__name__).inc()
        raise RegistryUnavailable(
            f"AWS could not be reached for {action}: {error}",
            hint="The platform tries again by itself; an operator should look if it stays so.",
        ) from error
    else:
        AWS_CALLS.labels(action, "").inc()


def translate_error(error: ClientError, action: str) -> RegistryError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = error.response.get("Error", {}).get("Message", "") or str(error)
    if code == "RepositoryAlreadyExistsException":
        return AlreadyExists(said)
    if code == "RepositoryNotFoundException":
        return RepositoryMissing(f"AWS knows no such repository: {said}")
    if code in _DENIED or (status == 403 and code not in _THROTTLED):
        return RegistryDenied(
            f"AWS refused {action} ({code}): {said}",
            hint=f"An operator must allow {action} for this worker's role, as documented.",
        )
    if code in _THROTTLED or status == 429 or status >= 500:
        return RegistryUnavailable(
            f"AWS is too busy for {action} ({code}): {said}",
            hint="The platform tries again by itself.",
        )
    return RegistryError(
        f"AWS refused {action} ({code}): {said}", hint="An operator must look at this."
    )
