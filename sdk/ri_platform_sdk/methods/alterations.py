"""Alterations of an image: preview the changes, then build them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ri_platform_sdk import calls
from ri_platform_sdk.errors import BuildFailed, WaitTimeout
from ri_platform_sdk.files import Files
from ri_platform_sdk.methods.sender import POLL_SECONDS, Sender
from ri_platform_sdk.models import (
    Alteration,
    Image,
)
from ri_platform_sdk.requirements import Requirements
from ri_platform_sdk.running import RunTime
from ri_platform_sdk.specs import Spec


class AlterationMethods(Sender):
    def preview_alteration(
        self,
        name: str,
        requirements: Requirements | None = None,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        files: Files | None = None,
        groups: Iterable[str] | None = None,
        extras: Iterable[str] | None = None,
        indexes: Iterable[str] | None = None,
        allow_source: bool | None = None,
        allow_prereleases: bool | None = None,
        run_time: RunTime | None = None,
    ) -> Alteration:
        """Have an alteration resolved, without building it; what is not given stays as it is.

        It is resolved in the background: `wait_for_alteration` waits for what it changes.

        Example:
            >>> alteration = client.preview_alteration("hello", ["pyjokes==0.8.3", "six"])
            >>> alteration = client.wait_for_alteration("hello", alteration.id)
            >>> [change.name for change in alteration.changes.added]
            ['six']
        """
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras,
            allow_source, indexes, allow_prereleases, run_time,
        )  # fmt: skip
        return self.send(calls.preview(name, spec))

    def get_alteration(self, name: str, alteration_id: int) -> Alteration:
        """A proposed alteration. Raises `NotFound`; an alteration is kept for a day."""
        return self.send(calls.alteration(name, alteration_id))

    def wait_for_alteration(
        self, name: str, alteration_id: int, *, timeout: float | None = None
    ) -> Alteration:
        """Wait until an alteration is resolved. Raises `BuildFailed` if it cannot be, or `WaitTimeout`."""
        begun = time.monotonic()
        while True:
            alteration = self.get_alteration(name, alteration_id)
            if alteration.state not in ("queued", "running"):
                return require_resolved(alteration)
            if timeout is not None and time.monotonic() - begun > timeout:
                raise WaitTimeout(f"The alteration is not resolved after {timeout:.0f} seconds.")
            time.sleep(POLL_SECONDS)

    def build_alteration(self, name: str, alteration_id: int) -> Image:
        """Build just what an alteration resolved to; the present revision stays usable meanwhile.

        Raises `Conflict` while a build of the image is under way, or if the image changed since.
        """
        return self.send(calls.build_alteration(name, alteration_id))


def require_resolved(alteration: Alteration) -> Alteration:
    """The alteration that was resolved. Raises `BuildFailed` if it could not be."""
    if alteration.state != "succeeded":
        message = alteration.error_message or f"The alteration is {alteration.state}."
        raise BuildFailed(message, reason=alteration.error_reason, hint=alteration.error_hint)
    return alteration
