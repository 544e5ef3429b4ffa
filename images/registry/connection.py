"""Adapters as the settings describe them. The process's AWS identity comes from boto3's own chain."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.utils import timezone

from images.registry import naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.transport import Credentials, permissions
from images.registry.ecr.permissions import iam_action
from images.registry.ecr.repositories import Authorization, RepositoryControl
from ri_platform.metrics import AWS_CALLS

# ECR's tokens live 12 hours, but end with the role's session: ask again well before either matters.
TOKEN_MARGIN = timedelta(minutes=5)
TOKEN_REUSE = timedelta(minutes=30)


def control() -> RepositoryControl:
    """The control plane under this process's identity, made once: that takes longer than most calls.

    A client of boto3 may be shared by threads, and renews a role's credentials by itself.
    """
    return _control(
        naming.effective_prefix(),
        settings.AWS_REGION,
        settings.AWS_ENDPOINT_URL,
        settings.REGISTRY_URL,
        os.environ.get("AWS_ACCESS_KEY_ID", ""),
        settings.CALL_SECONDS,
    )


@lru_cache(maxsize=4)
def _control(
    prefix: str, region: str, endpoint_url: str, registry_url: str, identity: str, seconds: float
) -> RepositoryControl:
    return RepositoryControl(
        prefix=prefix,
        region=region,
        endpoint_url=endpoint_url or None,
        registry_override=registry_url,
        read_seconds=seconds,
    )


class TokenSource:
    """Hands out registry credentials, asking AWS again when they grow old. Thread-safe."""

    def __init__(self, repositories: RepositoryControl) -> None:
        self._repositories = repositories
        self._lock = threading.Lock()
        self._current: Authorization | None = None
        self._asked_at = timezone.now()

    def authorization(self, refused: Credentials | None = None) -> Authorization:
        """The current authorization, or a new one in place of what the registry has `refused`.

        ECR's tokens end with the role's session, which is sooner than `expires_at` says.
        """
        with self._lock:
            now = timezone.now()
            current = self._current
            if (
                current is None
                or (refused is not None and refused.password == current.password)
                or now >= current.expires_at - TOKEN_MARGIN
                or now >= self._asked_at + TOKEN_REUSE
            ):
                current = self._current = self._repositories.authorization()
                self._asked_at = now
            return current

    def __call__(self, refused: Credentials | None = None) -> Credentials:
        current = self.authorization(refused)
        return Credentials(current.username, current.password)


@lru_cache(maxsize=4)
def token_source(repositories: RepositoryControl) -> TokenSource:
    """One for each identity of this process: a token serves many builds."""
    return TokenSource(repositories)


def registry_client() -> RegistryClient:
    """The data plane of our registry; every repository name passes the prefix guard."""
    tokens = token_source(control())
    effective = naming.effective_prefix()
    return RegistryClient(
        tokens.authorization().endpoint,
        credentials=tokens,
        guard=lambda repository: naming.guard(effective, repository),
        on_answer=count,
        needed=needed_in_ecr,
        timeout=settings.CALL_SECONDS,
    )


def needed_in_ecr(method: str, path: str) -> str:
    """The IAM action that a request takes, as the end of a hint; none for one that is not documented."""
    try:
        return f"; in ECR the request takes {iam_action(method, path)}"
    except ValueError:
        return permissions(method, path)


def count(method: str, path: str, status: int) -> None:
    """Count a request of the data plane as the IAM action that ECR asks of us for it.

    That something is not there is an answer like another: a build asks before it uploads.
    """
    try:
        action = iam_action(method, path)
    except ValueError:
        action = "undocumented"
    good = 200 <= status < 400 or status == 404
    AWS_CALLS.labels(action, "" if good else (str(status) if status else "unreachable")).inc()
