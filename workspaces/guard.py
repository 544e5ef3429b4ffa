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
    """An object that belongs to a workspace and is subject to its roles."""

    @property
    def workspace(self) -> Workspace: ...


T = TypeVar("T")
R = TypeVar("R")
V = TypeVar("V", bound=Callable[..., HttpResponseBase])


@dataclass(frozen=True)
class Place:
    """The object that a URL's parameter names. Views get it as the keyword `argument`.

    `kind` parses the parameter, and raises `ValueError` for an invalid one. An `owned` object
    is looked up if the rule depends on its owner.
    """

    argument: str
    kind: type[UUID] | type[str]
    find: Callable[[Actor, Any], Any]
    owned: bool = False


# By the parameter's name; each app adds its own. The workspace comes first, because it contains the others.
PLACES: dict[str, Place] = {}


def locates(
    parameter: str, argument: str, kind: type[UUID] | type[str] = UUID, *, owned: bool = False
) -> Callable[[Callable[[Actor, Any], T]], Callable[[Actor, Any], T]]:
    """Register the finder of the object that a URL's `parameter` names.

    The finder raises `NotFound` for objects that the actor may not see. The object has a `workspace`, or
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
    """The target of the action, and the objects by parameter, of a URL. Raises `NotFound`.

    If the URL names no workspace, the token's own workspace is used.
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

    `to_post` is the action that POST needs, if it differs. A `workspace_id` in the URL becomes
    the keyword argument `workspace`; the same applies to the parameters that `locates` registered.
    """
    assert to_post is None or TABLE[to_post].creator == TABLE[action].creator

    def decorate(view: Callable[..., R]) -> Callable[..., R | HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> R | HttpResponse:
            if not isinstance(request.user, User):
                if wants_fragment(request):
                    # htmx would follow a redirect and put the sign-in form into the middle of the page.
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
