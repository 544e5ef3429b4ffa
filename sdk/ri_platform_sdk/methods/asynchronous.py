"""The base of the asynchronous client, with its methods for the instance, its models and its registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import TypeVar

from ri_platform_sdk import calls
from ri_platform_sdk.ml_models import DefaultImage, MissingModule, Model, ModelImage
from ri_platform_sdk.models import AuditEvent, Identity, Image, Instance, Page
from ri_platform_sdk.registry import Drift, UnknownRepository
from ri_platform_sdk.transport import AsyncTransport

T = TypeVar("T")


class AsyncSender:
    """The sender of calls for asyncio."""

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
        pages = self._pages(lambda token: calls.list_models(workspace_id, token))
        return tuple([model async for model in pages])

    async def swap_model_image(self, model_id: str, name: str, build: int | None = None) -> Model:
        """See `Client.swap_model_image`."""
        return await self.send(calls.swap_model_image(model_id, name, build))

    async def resolve_model_image(self, model_id: str) -> ModelImage:
        """See `Client.resolve_model_image`."""
        return await self.send(calls.resolve_model_image(model_id))

    async def swap_model_to_default(self, model_id: str) -> Model:
        """See `Client.swap_model_to_default`."""
        return await self.send(calls.swap_model_to_default(model_id))

    async def resolve_workspace_image(
        self, workspace_id: str, model_id: str | None = None
    ) -> ModelImage:
        """See `Client.resolve_workspace_image`."""
        return await self.send(calls.resolve_workspace_image(workspace_id, model_id))

    async def get_default_image(self, workspace_id: str) -> DefaultImage:
        """See `Client.get_default_image`."""
        return await self.send(calls.default_image(workspace_id))

    async def set_default_image(
        self, workspace_id: str, name: str, build: int | None = None
    ) -> DefaultImage:
        """See `Client.set_default_image`."""
        return await self.send(calls.set_default_image(workspace_id, name, build))

    async def clear_default_image(self, workspace_id: str) -> None:
        """See `Client.clear_default_image`."""
        await self.send(calls.clear_default_image(workspace_id))

    async def explain_missing_module(
        self, model_id: str, module: str, *, propose: bool = True
    ) -> MissingModule:
        """See `Client.explain_missing_module`."""
        return await self.send(calls.explain_missing_module(model_id, module, propose))

    async def list_drifts(self) -> AsyncIterator[Drift]:
        """See `Client.list_drifts`."""
        async for drift in self._pages(lambda token: calls.drifts(token, 100)):
            yield drift

    async def list_unknown_repositories(self) -> AsyncIterator[UnknownRepository]:
        """See `Client.list_unknown_repositories`."""
        async for found in self._pages(lambda token: calls.unknown_repositories(token, 100)):
            yield found

    async def adopt_unknown_repository(self, name: str) -> UnknownRepository:
        """See `Client.adopt_unknown_repository`."""
        return await self.send(calls.decide_unknown_repository(name, "adopt"))

    async def delete_unknown_repository(self, name: str) -> UnknownRepository:
        """See `Client.delete_unknown_repository`."""
        return await self.send(calls.decide_unknown_repository(name, "delete"))
