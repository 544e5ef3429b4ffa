"""The instance: the caller's account, base images, the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from ri_platform_sdk import calls
from ri_platform_sdk.methods.sender import Sender
from ri_platform_sdk.models import AuditEvent, Identity, Image, Instance


class InstanceMethods(Sender):
    def get_identity(self) -> Identity:
        """Return the token's account, workspace and expiry.

        Example:
            >>> client.get_identity().user_name
            'admin'
        """
        return self.send(calls.identity())

    def get_instance(self) -> Instance:
        """The instance's version, and how long a removed image can be restored.

        Example:
            >>> client.get_instance().removal_grace_hours
            24
        """
        return self.send(calls.instance())

    def list_base_images(self, *, everything: bool = False) -> tuple[Image, ...]:
        """The images that the platform provides to build on.

        With `everything`, also those that are still being prepared, or could not be.

        Example:
            >>> [base.python_version for base in client.list_base_images()]
            ['3.11']
        """
        return self.send(calls.base_images(everything))

    def list_audit_events(
        self,
        *,
        event: str = "",
        user_name: str = "",
        object_name: str = "",
        since: date | None = None,
        until: date | None = None,
    ) -> Iterator[AuditEvent]:
        """The events of the audit log, newest first, fetched in pages. For Organization Administrators.

        `event` is one, or how it begins: `"image."` for all that was done with images. `since` and `until`
        are the first and the last day, in UTC. Raises `Forbidden` unless the token's user is one of those.

        Example:
            >>> [event.event for event in client.list_audit_events(object_name="hello")][-1]
            'image.created'
        """
        filters = {
            "event": event,
            "userName": user_name,
            "objectName": object_name,
            "since": since,
            "until": until,
        }
        yield from self._pages(lambda token: calls.audit_events(filters, token, 100))
