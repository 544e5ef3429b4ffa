"""The access check of every endpoint, and the values that several of them share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja.decorators import decorate_view
from pydantic import BeforeValidator

from ri_platform.api import Camel
from workspaces.access import Action, Actor, require
from workspaces.api.token_auth import authenticate
from workspaces.guard import Place, locate, places_of, put_in_place


class Id(Camel):
    """An identifier, wrapped as in the public client."""

    uuid: UUID
    """A UUID (RFC 9562)."""


def wrap_key(value: Any) -> Any:
    """A row's key as an `Id` is read from."""
    return {"uuid": value} if isinstance(value, UUID) else value


# An identifier that is read from the attribute of a row.
RowId = Annotated[Id, BeforeValidator(wrap_key)]


def username_or_empty(user: Any) -> Any:
    """The name of a row's account, which may no longer exist."""
    return "" if user is None else getattr(user, "username", user)


# An account's name that is read from the attribute of a row; empty if the account no longer exists.
Username = Annotated[str, BeforeValidator(username_or_empty)]


class Nothing(Camel):
    """An empty object."""


def guarded(
    action: Action, *, of: Place | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Guard an endpoint as `guard.needs` does a view, before the framework looks at what else was sent.

    So a caller who may not act learns nothing of a body, and a malformed one is not even parsed. What takes a
    `workspace` is published as taking its `workspace_id`; likewise the object that the action is `of`.
    """
    places = places_of(action, of)

    def check(run: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(run)
        def checked(request: HttpRequest, **parameters: Any) -> HttpResponseBase:
            authenticate(request)
            actor = Actor.of(request)
            subject, found = locate(actor, places, parameters)
            require(actor, action, subject)
            request.located = found  # type: ignore[attr-defined]
            return run(request, **parameters)

        return checked

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def endpoint(request: HttpRequest, **arguments: Any) -> Any:
            put_in_place(request.located, arguments)  # type: ignore[attr-defined]
            return view(request, **arguments)

        signature = inspect.signature(view, eval_str=True)
        published = {place.argument: place for place in places}
        parameters = []
        for parameter in signature.parameters.values():
            if parameter.name in published:
                place = published[parameter.name]
                parameter = parameter.replace(name=place.parameter, annotation=place.kind)
            parameters.append(parameter)
        endpoint.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        endpoint.needs = action  # type: ignore[attr-defined]
        endpoint.of = of  # type: ignore[attr-defined]
        return decorate_view(check)(endpoint)

    return decorate
