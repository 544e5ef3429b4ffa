"""A local AWS with IAM on, under the platform's two identities."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from images.registry.distribution.client import RegistryClient
from images.registry.distribution.transport import Credentials
from images.registry.ecr import local_iam
from images.registry.ecr.repositories import RepositoryControl
from images.registry.naming import DEFAULT_PREFIX
from ri_platform.local import services


@dataclass(frozen=True)
class LocalAWS:
    """A running local AWS with IAM on, and the two identities' keys as environments."""

    url: str
    keys: dict[str, dict[str, str]]

    @contextmanager
    def identity(self, name: str) -> Iterator[None]:
        """Be `registry-server` or `build-jobs`, as that worker's process would be."""
        before = {key: os.environ.get(key) for key in self.keys[name]}
        os.environ.update(self.keys[name])
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def control(self, identity: str, prefix: str = DEFAULT_PREFIX) -> RepositoryControl:
        """The control plane as one of the two, wherever it is asked from."""
        keys = self.keys[identity]
        return RepositoryControl(
            prefix=prefix,
            region=services.REGION,
            endpoint_url=self.url,
            registry_override=self.url,
            session=boto3.Session(
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=keys.get("AWS_SESSION_TOKEN"),
            ),
        )

    def password(self, identity: str = "build-jobs") -> str:
        """A password for the registry, whose user is AWS."""
        return self.control(identity).authorization().password

    def client(self, identity: str = "build-jobs", **options: Any) -> RegistryClient:
        """The data plane as one of the two, with no guard but IAM."""
        password = self.password(identity)
        return RegistryClient(
            self.url,
            credentials=lambda refused=None: Credentials("AWS", password),
            guard=str,
            **options,
        )

    @cached_property
    def root(self) -> Any:
        """ECR as somebody who may do anything."""
        return local_iam.root_client("ecr", self.url, services.REGION)

    def delete_images(self) -> None:
        """Delete the repository of each managed image, so that the next test may use its name; bases stay."""
        for name in self.names_of_repositories():
            if not name.startswith(f"{DEFAULT_PREFIX}/base/"):
                self.root.delete_repository(repositoryName=name, force=True)

    def delete_base_images(self, *, but: str = "") -> None:
        """Delete the base images that tests imported, all but those of one repository."""
        for name in self.names_of_repositories():
            if name.startswith(f"{DEFAULT_PREFIX}/base/") and name != but:
                self.root.delete_repository(repositoryName=name, force=True)

    def holds(self, repository: str, digest: str) -> bool:
        """Whether the repository is there and has this manifest."""
        try:
            found = self.root.batch_get_image(
                repositoryName=repository, imageIds=[{"imageDigest": digest}]
            )
        except self.root.exceptions.RepositoryNotFoundException:
            return False
        return bool(found["images"])

    def names_of_repositories(self) -> list[str]:
        """All under the prefix."""
        found = self.root.describe_repositories(maxResults=1000)["repositories"]
        names = [repository["repositoryName"] for repository in found]
        return [name for name in names if name.startswith(f"{DEFAULT_PREFIX}/")]

    @contextmanager
    def repositories(self, *names: str) -> Iterator[None]:
        """Repositories for the time of a test, made and deleted by the registry server."""
        control = self.control("registry-server")
        for name in names:
            control.create_repository(name, ours=False)
        try:
            yield
        finally:
            for name in names:
                control.delete_repository(name)


@contextmanager
def local_aws(state: Path) -> Iterator[LocalAWS]:
    """An AWS account of its own, for as long as it takes."""
    port = services.free_port()
    process = services.start_aws(state, port)
    try:
        assert services.wait_until_answers(services.aws_health(port))
        url = f"http://127.0.0.1:{port}"
        yield LocalAWS(url, local_iam.bootstrap(url, services.REGION, DEFAULT_PREFIX, {}))
    finally:
        process.terminate()
        process.wait()
