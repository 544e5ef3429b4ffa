"""Builds of an image: wait, rebuild, cancel, roll back, and read their log and files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from ri_platform_sdk import calls
from ri_platform_sdk.errors import BuildFailed, WaitTimeout
from ri_platform_sdk.methods.sender import POLL_SECONDS, Sender
from ri_platform_sdk.models import Build, Image
from ri_platform_sdk.progress import ProgressBar

BUILDS_PAGE = 1000


class BuildMethods(Sender):
    def wait_for_managed_image(
        self,
        name: str,
        *,
        timeout: float | None = None,
        progress: bool = True,
        on_update: Callable[[Image], None] | None = None,
    ) -> Image:
        """Wait until no build of the image is under way, and return it.

        A bar shows phase and time on a terminal unless `progress` is off; `on_update` is called with the
        image about twice a second. `timeout` is in seconds. Raises `BuildFailed` with the reason, or
        `WaitTimeout`.
        """
        begun = time.monotonic()
        with ProgressBar(name, enabled=progress) as bar:
            while True:
                image = self.send(calls.get(name))
                bar.show(image)
                if on_update is not None:
                    on_update(image)
                if not image.is_building:
                    return require_success(image)
                if timeout is not None and time.monotonic() - begun > timeout:
                    raise WaitTimeout(f"{name} is still being built after {timeout:.0f} seconds.")
                time.sleep(POLL_SECONDS)

    def rebuild_managed_image(self, name: str) -> Image:
        """Resolve and build an image anew from what it was asked for, for newer versions.

        Raises `Forbidden` for an image of others.

        Example:
            >>> client.rebuild_managed_image("hello").latest_build.number
            2
        """
        return self.send(calls.verb(name, "rebuild"))

    def cancel_build(self, name: str) -> Image:
        """Stop the build that is under way; the image falls back to its current one, if it has one."""
        return self.send(calls.verb(name, "cancel"))

    def roll_back_managed_image(self, name: str, build: int) -> Image:
        """Make an earlier build's image current again, in about a second."""
        return self.send(calls.roll_back(name, build))

    def set_channel(self, name: str, channel: str, build: int) -> Image:
        """Point a tag of an image, such as `stable`, at a build; the registry has it within a moment.

        Raises `InvalidRequest` for what is no channel, `Conflict` for a build that is no longer kept.
        """
        return self.send(calls.set_channel(name, channel, build))

    def check_imports(self, name: str) -> Image:
        """Have the imports of the image's current build tried again.

        The answer's `import_check` is pending; ask for the image until it is not. Raises `Conflict` while
        they are being tried, or if the image has no build.
        """
        return self.send(calls.verb(name, "checkImports"))

    def set_import_policy(self, name: str, policy: str) -> Image:
        """Set what becomes of imports that fail from the next build on: `warn`, `refuse` or `off`.

        Empty is as the instance has it.
        """
        return self.send(calls.set_import_policy(name, policy))

    def list_builds(self, name: str) -> tuple[Build, ...]:
        """All builds of the image, newest first.

        Example:
            >>> [build.state for build in client.list_builds("hello")]
            ['succeeded']
        """
        return tuple(self._pages(lambda token: calls.builds(name, token, BUILDS_PAGE)))

    def follow_log(self, name: str, build: int | None = None) -> Iterator[str]:
        """The log of a build, the newest unless given, in pieces as it is written, until it ends.

        Example:
            >>> "".join(client.follow_log("hello")).splitlines()[-1][:13]
            'Ready: sha256'
        """
        number = build if build is not None else latest_number(self.send(calls.get(name)))
        offset = 0
        while True:
            piece = self.send(calls.log(name, number, offset))
            if piece.text:
                yield piece.text
            if piece.done:
                return
            offset = piece.offset
            time.sleep(POLL_SECONDS)

    def get_lock(self, name: str, build: int | None = None) -> str:
        """The lock of a build, a pylock.toml (PEP 751); of the current one unless its number is given.

        Example:
            >>> client.get_lock("hello").splitlines()[0]
            'lock-version = "1.0"'
        """
        return self.send(calls.lock(name, build))

    def get_sbom(self, name: str, build: int | None = None) -> dict[str, Any]:
        """Return the SBOM of a build's image, CycloneDX 1.6 in JSON.

        Example:
            >>> client.get_sbom("hello")["bomFormat"]
            'CycloneDX'
        """
        return self.send(calls.sbom(name, build))

    def get_provenance(self, name: str, build: int | None = None) -> dict[str, Any]:
        """Return the provenance of a build's image, an in-toto statement (SLSA v1).

        Example:
            >>> client.get_provenance("hello")["predicateType"]
            'https://slsa.dev/provenance/v1'
        """
        return self.send(calls.provenance(name, build))


def require_success(image: Image) -> Image:
    """The image whose build has ended. Raises `BuildFailed` if it did not succeed."""
    build = image.latest_build
    if build is not None and build.state == "failed":
        raise BuildFailed(build.error_message, reason=build.error_reason, hint=build.error_hint)
    if build is not None and build.state == "cancelled":
        raise BuildFailed(
            f"Build {build.number} of {image.name} was cancelled.", reason="cancelled"
        )
    return image


def latest_number(image: Image) -> int:
    assert image.latest_build is not None
    return image.latest_build.number
