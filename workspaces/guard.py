"""Access guards: they look up the object that a URL names and check the access table before the view runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django_htmx.http import HttpResponseClientRefresh

from ri_platform.errors import NotFound
from ri_platform.middleware import wants_fragment
from workspaces.access import TABLE, Action, Actor, Subject, require
from workspaces.models import User, Workspace


class InWorkspace(Protocol):
    """What belongs to a workspace, and is subject to its roles."""

    @property
    def workspace(self) -> Workspace: ...


T = TypeVar("T")
R = TypeVar("R")
V = TypeVar("V", bound=Callable[..., HttpResponseBase])


@dataclass(frozen=True)
class Place:
    """What a parameter of a URL names: views get what `find` finds as their keyword `argument`.

    `kind` makes the parameter of its text, and raises `ValueError` for what cannot be one. What is `owned`
    is looked for where the rule asks who owns it.
    """

    argument: str
    kind: type[UUID] | type[str]
    find: Callable[[Actor, Any], Any]
    owned: bool = False


# By the parameter's name; each app adds its own. A workspace comes first: what else a URL names stands in it.
PLACES: dict[str, Place] = {}


def locates(
    parameter: str, argument: str, kind: type[UUID] | type[str] = UUID, *, owned: bool = False
) -> Callable[[Callable[[Actor, Any], T]], Callable[[Actor, Any], T]]:
    """Register how `needs` finds what a URL's `parameter` names.

    The finder raises `NotFound` for what the actor may not know of. What it finds is in a `workspace`, or has
    an owner.
    """

    def register(find: Callable[[Actor, Any], T]) -> Callable[[Actor, Any], T]:
        PLACES[parameter] = Place(argument, kind, find, owned)
        return find

    return register


@locates("workspace_id", "workspace")
def visible_workspace(actor: Actor, workspace_id: UUID) -> Workspace:
    """The workspace, if the actor sees it. Raises `NotFound`."""
    found = Workspace.objects.visible_to(actor).filter(pk=workspace_id).first()
    if found is None:
        raise NotFound("There is no workspace at this address.")
    return found


def locate(
    actor: Actor, action: Action, parameters: Mapping[str, object]
) -> tuple[Subject | None, dict[str, Any]]:
    """(what the action is done to or in, parameter → what it names) of a URL. Raises `NotFound`.

    A token's own workspace is the one at hand where the URL names none.
    """
    workspace = subject = None
    found: dict[str, Any] = {}
    for parameter, place in PLACES.items():
        if parameter not in parameters or (place.owned and not TABLE[action].creator):
            continue
        try:
            key = place.kind(str(parameters[parameter]))
        except ValueError as error:
            raise NotFound("There is nothing at this address.") from error
        found[parameter] = thing = place.find(actor, key)
        if place.owned:
            subject = thing
            continue
        stands_in = thing if isinstance(thing, Workspace) else cast(InWorkspace, thing).workspace
        if workspace not in (None, stands_in):
            raise NotFound("There is nothing at this address.")
        subject = workspace = stands_in
    if subject is None and actor.token is not None:
        subject = actor.token.workspace
    return subject, found


def needs(
    action: Action, *, to_post: Action | None = None
) -> Callable[[Callable[..., R]], Callable[..., R | HttpResponse]]:
    """Guard a view of the console: signed in, the URL's workspace visible, the action allowed.

    `to_post` is for a page that more people see than may send its form. A `workspace_id` in the URL becomes
    the keyword argument `workspace`, and so with what else `locates` registered.
    """
    assert to_post is None or TABLE[to_post].creator == TABLE[action].creator

    def decorate(view: Callable[..., R]) -> Callable[..., R | HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> R | HttpResponse:
            if not isinstance(request.user, User):
                if wants_fragment(request):
                    # Followed by htmx, a redirect would put the form into the middle of the page.
                    return HttpResponseClientRefresh()
                return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
            actor = Actor.of(request)
            subject, found = locate(actor, action, kwargs)
            require(actor, action, subject)
            if to_post is not None and request.method == "POST":
                require(actor, to_post, subject)
            for parameter, thing in found.items():
                del kwargs[parameter]
                kwargs[PLACES[parameter].argument] = thing
            return view(request, *args, **kwargs)

        guarded.needs = action  # type: ignore[attr-defined]
        guarded.needs_to_post = to_post or action  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: V) -> V:
    """Mark a view that anybody may open, signed in or not."""
    view.needs = view.needs_to_post = None  # type: ignore[attr-defined]
    return view
