"""The same client for asyncio: every method of `Client`, to be awaited or iterated with `async for`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from ri_platform_sdk import calls
from ri_platform_sdk.environment import Selection, Snapshot, read_environment, spec_of_environment
from ri_platform_sdk.errors import NotFound, WaitTimeout
from ri_platform_sdk.files import Files
from ri_platform_sdk.methods.alterations import require_resolved
from ri_platform_sdk.methods.asynchronous import AsyncInstanceMethods
from ri_platform_sdk.methods.builds import BUILDS_PAGE, latest_number, require_success
from ri_platform_sdk.methods.sender import POLL_SECONDS
from ri_platform_sdk.models import (
    Alteration,
    Build,
    Comparison,
    Image,
    Match,
    RemovedImage,
)
from ri_platform_sdk.readings import Reading
from ri_platform_sdk.requirements import Requirements
from ri_platform_sdk.running import RunTime
from ri_platform_sdk.specs import Spec
from ri_platform_sdk.transport import AsyncTransport

T = TypeVar("T")


class AsyncClient(AsyncInstanceMethods):
    """The client for asyncio. It shows no progress bar; `on_update` receives the state of a build.

    Example:
        >>> async def main():
        ...     async with AsyncClient(domain, api_key) as client:
        ...         return [image.name async for image in client.list_managed_images()]
        >>> asyncio.run(main())
        ['hello']
    """

    def __init__(self, domain: str, api_key: str, *, timeout: float = 60.0) -> None:
        self._transport = AsyncTransport(domain, api_key, timeout)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._transport.close()

    async def create_managed_image(
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
        allow_source: bool = False,
        allow_prereleases: bool = False,
        import_policy: str = "",
        run_time: RunTime | None = None,
        description: str = "",
    ) -> Image:
        """See `Client.create_managed_image`."""
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras,
            allow_source, indexes, allow_prereleases, run_time,
        )  # fmt: skip
        return await self.send(calls.create(name, spec, import_policy, description))

    async def update_managed_image(
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
    ) -> Image:
        """See `Client.update_managed_image`."""
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras,
            allow_source, indexes, allow_prereleases, run_time,
        )  # fmt: skip
        return await self.send(calls.update(name, spec))

    async def describe_managed_image(self, name: str, description: str) -> Image:
        """See `Client.describe_managed_image`."""
        return await self.send(calls.describe(name, description))

    async def get_managed_image(self, name: str) -> Image:
        """See `Client.get_managed_image`."""
        return await self.send(calls.get(name))

    async def has_managed_image(self, name: str, check_status: bool = False) -> bool:
        """See `Client.has_managed_image`."""
        try:
            image = await self.get_managed_image(name)
        except NotFound:
            return False
        return image.is_ready or not check_status

    async def list_managed_images(
        self,
        pip_library_filters: Iterable[Any] = (),
        *,
        search: str = "",
        status: str = "",
        page_size: int = 100,
    ) -> AsyncIterator[Image]:
        """See `Client.list_managed_images`."""
        filters = list(pip_library_filters)
        pages = self._pages(
            lambda token: calls.page(filters, token, page_size, search=search, status=status)
        )
        async for image in pages:
            yield image

    async def match_managed_images(
        self,
        requirements: Requirements | None = None,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        files: Files | None = None,
        groups: Iterable[str] | None = None,
        extras: Iterable[str] | None = None,
        limit: int = 20,
    ) -> tuple[Match, ...]:
        """See `Client.match_managed_images`."""
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras
        )
        return await self.send(calls.match(spec, limit))

    async def read_requirements(
        self,
        files: Files,
        python_version: str | None = None,
        *,
        groups: Iterable[str] = (),
        extras: Iterable[str] = (),
    ) -> Reading:
        """See `Client.read_requirements`."""
        return await self.send(calls.read_requirements(files, python_version, groups, extras))

    async def create_from_environment(
        self,
        name: str,
        selection: Selection = "top-level",
        *,
        without: Iterable[str] = (),
        strict: bool = False,
        python_version: str | None = None,
        package_requirements: Iterable[Any] | None = None,
        image_type: str | None = None,
        indexes: Iterable[str] | None = None,
        allow_source: bool = False,
        allow_prereleases: bool = False,
        tell: bool = True,
    ) -> Snapshot:
        """See `Client.create_from_environment`."""
        environment = read_environment(selection, without=without, strict=strict)
        if tell:
            environment.tell()
        spec = spec_of_environment(
            environment, python_version, package_requirements, image_type, allow_source, indexes,
            allow_prereleases,
        )  # fmt: skip
        return Snapshot(await self.send(calls.create(name, spec)), environment)

    async def delete_managed_image(self, name: str) -> None:
        """See `Client.delete_managed_image`."""
        await self.send(calls.delete(name))

    async def wait_for_managed_image(
        self,
        name: str,
        *,
        timeout: float | None = None,
        on_update: Callable[[Image], None] | None = None,
    ) -> Image:
        """See `Client.wait_for_managed_image`."""
        begun = time.monotonic()
        while True:
            image = await self.get_managed_image(name)
            if on_update is not None:
                on_update(image)
            if not image.is_building:
                return require_success(image)
            if timeout is not None and time.monotonic() - begun > timeout:
                raise WaitTimeout(f"{name} is still being built after {timeout:.0f} seconds.")
            await asyncio.sleep(POLL_SECONDS)

    async def rebuild_managed_image(self, name: str) -> Image:
        """See `Client.rebuild_managed_image`."""
        return await self.send(calls.verb(name, "rebuild"))

    async def cancel_build(self, name: str) -> Image:
        """See `Client.cancel_build`."""
        return await self.send(calls.verb(name, "cancel"))

    async def check_imports(self, name: str) -> Image:
        """See `Client.check_imports`."""
        return await self.send(calls.verb(name, "checkImports"))

    async def set_import_policy(self, name: str, policy: str) -> Image:
        """See `Client.set_import_policy`."""
        return await self.send(calls.set_import_policy(name, policy))

    async def roll_back_managed_image(self, name: str, build: int) -> Image:
        """See `Client.roll_back_managed_image`."""
        return await self.send(calls.roll_back(name, build))

    async def set_channel(self, name: str, channel: str, build: int) -> Image:
        """See `Client.set_channel`."""
        return await self.send(calls.set_channel(name, channel, build))

    async def list_builds(self, name: str) -> tuple[Build, ...]:
        """See `Client.list_builds`."""
        pages = self._pages(lambda token: calls.builds(name, token, BUILDS_PAGE))
        return tuple([build async for build in pages])

    async def follow_log(self, name: str, build: int | None = None) -> AsyncIterator[str]:
        """See `Client.follow_log`."""
        number = build if build is not None else latest_number(await self.get_managed_image(name))
        offset = 0
        while True:
            piece = await self.send(calls.log(name, number, offset))
            if piece.text:
                yield piece.text
            if piece.done:
                return
            offset = piece.offset
            await asyncio.sleep(POLL_SECONDS)

    async def get_lock(self, name: str, build: int | None = None) -> str:
        """See `Client.get_lock`."""
        return await self.send(calls.lock(name, build))

    async def get_sbom(self, name: str, build: int | None = None) -> dict[str, Any]:
        """See `Client.get_sbom`."""
        return await self.send(calls.sbom(name, build))

    async def get_provenance(self, name: str, build: int | None = None) -> dict[str, Any]:
        """See `Client.get_provenance`."""
        return await self.send(calls.provenance(name, build))

    async def preview_alteration(
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
        """See `Client.preview_alteration`."""
        spec = Spec(
            requirements, package_requirements, python_version, image_type, files, groups, extras,
            allow_source, indexes, allow_prereleases, run_time,
        )  # fmt: skip
        return await self.send(calls.preview(name, spec))

    async def get_alteration(self, name: str, alteration_id: int) -> Alteration:
        """See `Client.get_alteration`."""
        return await self.send(calls.alteration(name, alteration_id))

    async def wait_for_alteration(
        self, name: str, alteration_id: int, *, timeout: float | None = None
    ) -> Alteration:
        """See `Client.wait_for_alteration`."""
        begun = time.monotonic()
        while True:
            alteration = await self.get_alteration(name, alteration_id)
            if alteration.state not in ("queued", "running"):
                return require_resolved(alteration)
            if timeout is not None and time.monotonic() - begun > timeout:
                raise WaitTimeout(f"The alteration is not resolved after {timeout:.0f} seconds.")
            await asyncio.sleep(POLL_SECONDS)

    async def build_alteration(self, name: str, alteration_id: int) -> Image:
        """See `Client.build_alteration`."""
        return await self.send(calls.build_alteration(name, alteration_id))

    async def restore_managed_image(self, name: str) -> Image:
        """See `Client.restore_managed_image`."""
        return await self.send(calls.restore(name))

    async def list_removed_images(self) -> AsyncIterator[RemovedImage]:
        """See `Client.list_removed_images`."""
        async for image in self._pages(lambda token: calls.removed_images(token, 100)):
            yield image

    async def compare_managed_images(self, left: str, right: str) -> Comparison:
        """See `Client.compare_managed_images`."""
        return await self.send(calls.compare(left, right))
