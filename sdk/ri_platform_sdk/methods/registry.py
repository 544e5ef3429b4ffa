"""The registry's contents: what it lacks, and what no record knows. For Organization Administrators."""

from __future__ import annotations

from collections.abc import Iterator

from ri_platform_sdk import calls
from ri_platform_sdk.methods.sender import Sender
from ri_platform_sdk.registry import Drift, UnknownRepository


class RegistryMethods(Sender):
    def list_drifts(self) -> Iterator[Drift]:
        """Managed and base images that the registry does not hold as they were built, the oldest first.

        Raises `Forbidden` unless the token's user is an Organization Administrator.

        Example:
            >>> [(drift.name, drift.state) for drift in client.list_drifts()]
            []
        """
        yield from self._pages(lambda token: calls.drifts(token, 100))

    def list_unknown_repositories(self) -> Iterator[UnknownRepository]:
        """Repositories that no record knows, such as those that are newer than a restored backup, by name.

        Example:
            >>> [repository.name for repository in client.list_unknown_repositories()]
            []
        """
        yield from self._pages(lambda token: calls.unknown_repositories(token, 100))

    def adopt_unknown_repository(self, name: str) -> UnknownRepository:
        """Have the newest build in a repository become an image of this instance, in the background.

        Raises `NotFound`, and `Conflict` for base images, which are imported, and while a worker is at it.

        Example:
            >>> client.adopt_unknown_repository("nobody")
            Traceback (most recent call last):
                ...
            ri_platform_sdk.errors.NotFound: There is no unknown repository named nobody.
        """
        return self.send(calls.decide_unknown_repository(name, "adopt"))

    def delete_unknown_repository(self, name: str) -> UnknownRepository:
        """Have a repository deleted with all in it, for good, in the background.

        Raises `NotFound`, and `Conflict` for the repository of an image and while a worker is at it.
        """
        return self.send(calls.decide_unknown_repository(name, "delete"))
