"""The same client for asyncio: every method of `Client`, to be awaited or iterated with `async for`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from ri_platform_sdk import calls
from ri_platform_sdk.client import POLL_SECONDS, finished, latest_number
from ri_platform_sdk.errors import NotFound, WaitTimeout
from ri_platform_sdk.models import Build, Image, Match, Model, ModelImage
from ri_platform_sdk.requirements import Requirements
from ri_platform_sdk.transport import AsyncTransport


class AsyncClient:
    """As `Client`, for asyncio. It shows no progress bar; `on_update` tells how a build goes on.

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
        requirements: Requirements,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        allow_source: bool = False,
    ) -> Image:
        """See `Client.create_managed_image`."""
        return await self._transport.send(
            calls.create(
                name, requirements, package_requirements, python_version, image_type, allow_source
            )
        )

    async def update_managed_image(
        self,
        name: str,
        requirements: Requirements | None = None,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        allow_source: bool | None = None,
    ) -> Image:
        """See `Client.update_managed_image`."""
        return await self._transport.send(
            calls.update(
                name, requirements, package_requirements, python_version, image_type, allow_source
            )
        )

    async def get_managed_image(self, name: str) -> Image:
        """See `Client.get_managed_image`."""
        return await self._transport.send(calls.get(name))

    async def has_managed_image(self, name: str, check_status: bool = False) -> bool:
        """See `Client.has_managed_image`."""
        try:
            image = await self.get_managed_image(name)
        except NotFound:
            return False
        return image.is_ready or not check_status

    async def list_managed_images(
        self, pip_library_filters: Iterable[Any] = (), *, page_size: int = 100
    ) -> AsyncIterator[Image]:
        """See `Client.list_managed_images`."""
        filters, token = list(pip_library_filters), ""
        while True:
            page = await self._transport.send(calls.page(filters, token, page_size))
            for image in page.images:
                yield image
            if page.next_token == token:
                return
            token = page.next_token

    async def match_managed_images(
        self,
        requirements: Requirements,
        package_requirements: Iterable[Any] | None = None,
        python_version: str | None = None,
        image_type: str | None = None,
        *,
        limit: int = 20,
    ) -> tuple[Match, ...]:
        """See `Client.match_managed_images`."""
        return await self._transport.send(
            calls.match(requirements, package_requirements, python_version, image_type, limit)
        )

    async def delete_managed_image(self, name: str) -> None:
        """See `Client.delete_managed_image`."""
        await self._transport.send(calls.delete(name))

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
                return finished(image)
            if timeout is not None and time.monotonic() - begun > timeout:
                raise WaitTimeout(f"{name} is still being built after {timeout:.0f} seconds.")
            await asyncio.sleep(POLL_SECONDS)

    async def rebuild_managed_image(self, name: str) -> Image:
        """See `Client.rebuild_managed_image`."""
        return await self._transport.send(calls.verb(name, "rebuild"))

    async def cancel_build(self, name: str) -> Image:
        """See `Client.cancel_build`."""
        return await self._transport.send(calls.verb(name, "cancel"))

    async def roll_back_managed_image(self, name: str, build: int) -> Image:
        """See `Client.roll_back_managed_image`."""
        return await self._transport.send(calls.verb(name, "rollBack", {"build": build}))

    async def list_builds(self, name: str) -> tuple[Build, ...]:
        """See `Client.list_builds`."""
        return await self._transport.send(calls.builds(name))

    async def follow_log(self, name: str, build: int | None = None) -> AsyncIterator[str]:
        """See `Client.follow_log`."""
        number = build if build is not None else latest_number(await self.get_managed_image(name))
        offset = 0
        while True:
            piece = await self._transport.send(calls.log(name, number, offset))
            if piece.text:
                yield piece.text
            if piece.done:
                return
            offset = piece.offset
            await asyncio.sleep(POLL_SECONDS)

    async def get_lock(self, name: str) -> str:
        """See `Client.get_lock`."""
        return await self._transport.send(calls.lock(name))

    async def list_models(self, workspace_id: str) -> tuple[Model, ...]:
        """See `Client.list_models`."""
        return await self._transport.send(calls.list_models(workspace_id))

    async def swap_model_image(self, model_id: str, name: str, build: int | None = None) -> Model:
        """See `Client.swap_model_image`."""
        return await self._transport.send(calls.swap_model_image(model_id, name, build))

    async def resolve_model_image(self, model_id: str) -> ModelImage:
        """See `Client.resolve_model_image`."""
        return await self._transport.send(calls.resolve_model_image(model_id))
