"""What the asynchronous client's methods stand on, and those about the instance and its models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import TypeVar

from ri_platform_sdk import calls
from ri_platform_sdk.models import AuditEvent, Identity, Image, Instance, Model, ModelImage, Page
from ri_platform_sdk.transport import AsyncTransport

T = TypeVar("T")


class AsyncSender:
    """As `Sender`, for asyncio."""

    _transport: AsyncTransport

    async def send(self, call: calls.Call[T]) -> T:
        """See `Client.send`."""
        return await self._transport.send(call)

    async def _pages(self, call_of: Callable[[str], calls.Call[Page[T]]]) -> AsyncIterator[T]:
        """All items of a list; `call_of` makes the call for a page from its token."""
        token = ""
        while True:
            page = await self.send(call_of(token))
            for item in page.items:
                yield item
            if page.next_token == token:
                return
            token = page.next_token


class AsyncInstanceMethods(AsyncSender):
    async def list_base_images(self, *, everything: bool = False) -> tuple[Image, ...]:
        """See `Client.list_base_images`."""
        return await self.send(calls.base_images(everything))

    async def list_audit_events(
        self,
        *,
        event: str = "",
        user_name: str = "",
        object_name: str = "",
        since: date | None = None,
        until: date | None = None,
    ) -> AsyncIterator[AuditEvent]:
        """See `Client.list_audit_events`."""
        filters = {
            "event": event,
            "userName": user_name,
            "objectName": object_name,
            "since": since,
            "until": until,
        }
        async for found in self._pages(lambda token: calls.audit_events(filters, token, 100)):
            yield found

    async def get_identity(self) -> Identity:
        """See `Client.get_identity`."""
        return await self.send(calls.identity())

    async def get_instance(self) -> Instance:
        """See `Client.get_instance`."""
        return await self.send(calls.instance())

    async def list_models(self, workspace_id: str) -> tuple[Model, ...]:
        """See `Client.list_models`."""
        return await self.send(calls.list_models(workspace_id))

    async def swap_model_image(self, model_id: str, name: str, build: int | None = None) -> Model:
        """See `Client.swap_model_image`."""
        return await self.send(calls.swap_model_image(model_id, name, build))

    async def resolve_model_image(self, model_id: str) -> ModelImage:
        """See `Client.resolve_model_image`."""
        return await self.send(calls.resolve_model_image(model_id))
