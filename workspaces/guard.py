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
from ri_platform.memory import Memory
from ri_platform.middleware import wants_fragment
from ri_platform.ready import Given, Ready
from workspaces.access import TABLE, Action, Actor, Subject, require
from workspaces.models import User, Workspace


class InWorkspace(Protocol):
    """An object that belongs to a workspace and is subject to its roles."""

    @property
    def workspace(self) -> Workspace: ...


R = TypeVar("R")
V = TypeVar("V", bound=Callable[..., HttpResponseBase])


@dataclass(frozen=True)
class Place:
    """An object that a URL names: its `parameter` there, and the keyword `argument` that views take it as.

    `kind` parses the parameter, and raises `ValueError` for an invalid one. `find` raises `NotFound` for
    objects that the actor may not see. What it finds has a `workspace`, or, if `owned`, an owner.
    """

    parameter: str
    argument: str
    kind: type[UUID] | type[str]
    find: Callable[[Actor, Any], Any]
    owned: bool = False


# The query for a workspace that a reader sees, compiled once.
VISIBLE: Memory[Ready[Workspace]] = Memory(1000)


def visible_workspace(actor: Actor, workspace_id: UUID) -> Workspace:
    """The workspace, if the actor sees it. Raises `NotFound`."""
    user, token = actor.user, actor.token
    # Each reader has a query of their own, whatever `visible_to` comes to ask for.
    key = user.pk, user.is_active, user.role, token.workspace_id if token else None
    query = VISIBLE.recall(
        key,
        lambda: Ready(lambda: Workspace.objects.visible_to(actor).filter(pk=Given("key"))[:1]),
    )
    found = query.first(key=workspace_id)
    if found is None:
        raise NotFound("There is no workspace at this address.")
    return found


WORKSPACE = Place("workspace_id", "workspace", UUID, visible_workspace)


def places_of(action: Action, of: Place | None) -> tuple[Place, ...]:
    """The objects that a guard of `action` finds: the URL's workspace, if it names one, and `of`.

    Raises `TypeError` if the rule asks for an owner and `of` has none, or the other way round: the roles in
    the URL's workspace would decide about another workspace's object.
    """
    if TABLE[action].creator != (of is not None and of.owned):
        asked = "asks for" if TABLE[action].creator else "knows no"
        raise TypeError(f"The rule of {action.value} {asked} owners; `of` must say the same.")
    return (WORKSPACE,) if of is None else (WORKSPACE, of)


def locate(
    actor: Actor, places: tuple[Place, ...], parameters: Mapping[str, object]
) -> tuple[Subject | None, dict[Place, Any]]:
    """The target of the action, and the objects by place, of a URL. Raises `NotFound`.

    If the URL names no workspace, the token's own workspace is used.
    """
    workspace = subject = None
    found: dict[Place, Any] = {}
    for place in places:
        if place.parameter not in parameters:
            continue
        try:
            key = place.kind(str(parameters[place.parameter]))
        except ValueError as error:
            raise NotFound("There is nothing at this address.") from error
        found[place] = thing = place.find(actor, key)
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


def put_in_place(found: Mapping[Place, Any], arguments: dict[str, Any]) -> None:
    """Replace the URL's parameters among a view's `arguments` by the objects that they name."""
    for place, thing in found.items():
        del arguments[place.parameter]
        arguments[place.argument] = thing


def needs(
    action: Action, *, of: Place | None = None, to_post: Action | None = None
) -> Callable[[Callable[..., R]], Callable[..., R | HttpResponse]]:
    """Guard a view of the console: signed in, the URL's workspace visible, the action allowed.

    `of` is the object that the action concerns, if it is no workspace. `to_post` is the action that POST
    needs, if it differs. A `workspace_id` in the URL becomes the keyword argument `workspace`; likewise `of`.
    """
    places = places_of(action, of)
    assert to_post is None or places == places_of(to_post, of)

    def decorate(view: Callable[..., R]) -> Callable[..., R | HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> R | HttpResponse:
            if not isinstance(request.user, User):
                if wants_fragment(request):
                    # htmx would follow a redirect and put the sign-in form into the middle of the page.
                    return HttpResponseClientRefresh()
                return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
            actor = Actor.of(request)
            subject, found = locate(actor, places, kwargs)
            require(actor, action, subject)
            if to_post is not None and request.method == "POST":
                require(actor, to_post, subject)
            put_in_place(found, kwargs)
            return view(request, *args, **kwargs)

        guarded.needs = action  # type: ignore[attr-defined]
        guarded.needs_to_post = to_post or action  # type: ignore[attr-defined]
        guarded.of = of  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: V) -> V:
    """Mark a view that anybody may open, signed in or not."""
    view.needs = view.needs_to_post = None  # type: ignore[attr-defined]
    return view
