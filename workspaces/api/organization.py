"""REST endpoints for the whole instance: its settings, all API access tokens, and the audit log."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, page_of, router
from ri_platform.errors import Invalid
from ri_platform.text import column_length
from workspaces import audit, audit_export
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded
from workspaces.api.tokens import TokenOut
from workspaces.models import ApiToken, AuditEvent, Organization, User, Workspace
from workspaces.operations import organization, tokens

routes = router(
    "Organization", "The settings of the instance, all API access tokens, and the audit log."
)
CSV = {
    "text/csv": {
        "schema": {"type": "string"},
        "example": "time,event,user,role,token,address,object type,object,workspace,details\r\n",
    }
}
UUID_OR_NOTHING = r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$"


class OrganizationOut(Camel):
    """The instance, which is one organization."""

    time_zone: str
    """The time zone for browsers that report none; a name of the tz database."""
    version: str
    """The platform's version."""
    workspace_count: int
    """The number of workspaces."""
    account_count: int
    """The number of active accounts."""
    token_count: int
    """The number of API access tokens that have not expired."""
    token_limit: int
    """The largest number of API access tokens."""


class OrganizationIn(Camel):
    """The settings to change."""

    time_zone: Line = Field(
        max_length=column_length(Organization, "time_zone"), examples=["Europe/Berlin"]
    )
    """The time zone, a name of the tz database."""


class TokensPageIn(Camel):
    """The page of tokens to return."""

    page_token: str = Field("", max_length=36, pattern=UUID_OR_NOTHING)
    """The `nextPageToken` of the previous page; empty for the first page."""
    page_size: int = Field(100, ge=1, le=1000)
    """The largest number of tokens to return."""


class TokensPage(Camel):
    """A page of API access tokens."""

    api_token_infos: list[TokenOut]
    """The tokens of this page, without their secrets."""
    next_page_token: str
    """The token of the next page. On the last page it equals the token of the request."""


class AuditFilters(Camel):
    """The filters of the audit log; without any, all events."""

    event: Line = Field("", max_length=column_length(AuditEvent, "event"), examples=["image."])
    """An event, or the start of one: `image.` stands for all events of images."""
    user_name: Line = Field("", max_length=column_length(AuditEvent, "username"), examples=["ada"])
    """The account that acted."""
    object_name: Line = Field(
        "", max_length=column_length(AuditEvent, "object_name"), examples=["churn"]
    )
    """The object's name at that time."""
    since: date | None = None
    """The first day, in UTC."""
    until: date | None = None
    """The last day, in UTC."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The filters as arguments of `audit.events`."""
        return {
            "event": self.event,
            "username": self.user_name,
            "object_name": self.object_name,
            "since": self.since,
            "until": self.until,
        }


class AuditPageIn(AuditFilters):
    """The filters and the page to return. Send the filters with each page."""

    page_token: str = Field("", max_length=20, pattern=r"^[0-9]*$")
    """The `nextPageToken` of the previous page; empty for the first page."""
    page_size: int = Field(100, ge=1, le=1000)
    """The largest number of events to return."""


class AuditEventOut(Camel):
    """An event of the audit log. Names are those of the time of the event."""

    id: int
    """Its number; later events have greater numbers."""
    event: str
    """The event's type, such as `image.removed`."""
    time: datetime = Field(validation_alias="at")
    """The time of the event."""
    user_name: str = Field(validation_alias="username")
    """The account that acted; empty for the platform itself."""
    role: str = Field(examples=["org_admin"])
    """The account's instance role at that time."""
    token_name: str
    """The API access token of the request; empty for the console."""
    address: str | None = None
    """The network address of the request."""
    object_type: str
    """The kind of the object."""
    object_name: str
    """Its name."""
    workspace_name: str
    """The workspace of the event; empty if there is none."""
    details: dict[str, Any] = Field(examples=[{"image_type": "all", "python_version": "3.11"}])
    """Further details, which depend on the event."""


class AuditPage(Camel):
    """A page of events, newest first."""

    events: list[AuditEventOut]
    """The events of this page."""
    next_page_token: str
    """The token of the next page. On the last page it equals the token of the request."""


@routes.get(
    "/organization", response={200: OrganizationOut, **ERRORS}, summary="Get the organization"
)
@guarded(Action.SEE_ORGANIZATION)
def get_organization(request: HttpRequest) -> dict[str, Any]:
    """Returns the settings and the size of the instance."""
    return describe_organization(Organization.get())


@routes.patch(
    "/organization", response={200: OrganizationOut, **ERRORS}, summary="Change the organization"
)
@guarded(Action.EDIT_ORGANIZATION)
def edit_organization(request: HttpRequest, wanted: OrganizationIn) -> dict[str, Any]:
    """Changes the time zone of the instance."""
    changed = organization.change_time_zone(Actor.of(request), wanted.time_zone)
    return describe_organization(changed)


@routes.get(
    "/organization/api-tokens",
    response={200: TokensPage, **ERRORS},
    summary="List all API access tokens",
)
@guarded(Action.SEE_ORGANIZATION)
def list_all_tokens(request: HttpRequest, asked: Query[TokensPageIn]) -> dict[str, Any]:
    """Returns the tokens of all workspaces, in pages."""
    rows = ApiToken.objects.select_related("user")
    found, token = page_of(rows, ("id",), asked.page_size, asked.page_token)
    return {"api_token_infos": found, "next_page_token": token}


@routes.get(
    "/audit-events", response={200: AuditPage, **ERRORS}, summary="List events of the audit log"
)
@guarded(Action.SEE_AUDIT_LOG)
def list_audit_events(request: HttpRequest, asked: Query[AuditPageIn]) -> dict[str, Any]:
    """Returns the events of the audit log, newest first, in pages."""
    rows = audit.events(**check_period(asked).arguments)
    found, token = page_of(rows, ("id",), asked.page_size, asked.page_token, descending=True)
    return {"events": found, "next_page_token": token}


@routes.get(
    "/audit-events:export",
    response={200: str, **ERRORS},
    summary="Export the audit log as CSV",
    openapi_extra={
        "responses": {200: {"description": "A table with a line for each event.", "content": CSV}}
    },
)
@guarded(Action.SEE_AUDIT_LOG)
def export_audit_events(request: HttpRequest, asked: Query[AuditFilters]) -> StreamingHttpResponse:
    """Returns all matching events as one file. The export is itself an event of the audit log."""
    return audit_export.export(Actor.of(request), check_period(asked).arguments)


def check_period(filters: AuditFilters) -> AuditFilters:
    if filters.since and filters.until and filters.since > filters.until:
        raise Invalid("The first day comes after the last.", field="since")
    return filters


def describe_organization(found: Organization) -> dict[str, Any]:
    return {
        "time_zone": found.time_zone,
        "version": settings.VERSION,
        "workspace_count": Workspace.objects.count(),
        "account_count": User.objects.filter(is_active=True).count(),
        "token_count": tokens.living_tokens().count(),
        "token_limit": tokens.limit(),
    }
