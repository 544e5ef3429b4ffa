"""Who may do what: one table, one decorator, one check. No rule about roles stands anywhere else.

A stranger to a workspace gets 404 for it, so its existence does not leak; somebody who may see it but
lacks the privilege gets 403 with the sentence that says whose it is.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django_htmx.http import HttpResponseClientRefresh

from ri_platform.address import client_address
from ri_platform.errors import NotAllowed, NotFound
from ri_platform.middleware import wants_fragment
from workspaces.models import ApiToken, InstanceRole, User, Workspace, WorkspaceRole


class Action(enum.Enum):
    """A user's verb, or a page. The value is stable: the audit log and the tests name it."""

    MANAGE_OWN_ACCOUNT = "account.manage_own"
    SEE_WORKSPACES = "workspaces.see"
    SEE_WORKSPACE = "workspace.see"
    EDIT_WORKSPACE = "workspace.edit"
    CREATE_WORKSPACE = "workspace.create"
    REMOVE_WORKSPACE = "workspace.remove"
    SEE_MEMBERS = "members.see"
    MANAGE_MEMBERS = "members.manage"
    SEE_ORGANIZATION = "organization.see"
    EDIT_ORGANIZATION = "organization.edit"
    MANAGE_ACCOUNTS = "accounts.manage"
    APPOINT_ADMINISTRATORS = "accounts.appoint_administrators"
    SEE_AUDIT_LOG = "audit.see"
    SEE_TOKENS = "tokens.see"
    CREATE_TOKEN = "token.create"  # noqa: S105 - a verb, no secret
    MANAGE_TOKENS = "tokens.manage"
    SEE_IMAGES = "images.see"
    CREATE_IMAGE = "image.create"
    REBUILD_IMAGE = "image.rebuild"
    BUILD_FROM_SOURCE = "image.build_from_source"
    ALTER_IMAGE = "image.alter"
    ROLL_BACK_IMAGE = "image.roll_back"
    CANCEL_BUILD = "image.cancel_build"
    REMOVE_IMAGE = "image.remove"
    RESTORE_IMAGE = "image.restore"
    SEE_MODELS = "models.see"
    CREATE_MODEL = "model.create"
    EDIT_MODEL = "model.edit"
    REMOVE_MODEL = "model.remove"
    SWAP_IMAGE = "model.swap_image"
    RESOLVE_IMAGE = "model.resolve_image"
    MANAGE_WEBHOOKS = "webhooks.manage"
    MANAGE_BASE_IMAGES = "base_images.manage"
    WAKE_BUILD = "build.wake"


ORGANIZATION = frozenset({InstanceRole.ORGANIZATION_ADMINISTRATOR, InstanceRole.SUPPORT})
ANY_ACCOUNT = frozenset(InstanceRole)
NOBODY_ELSE: frozenset[WorkspaceRole] = frozenset()
WORKSPACE_ADMINISTRATORS = frozenset({WorkspaceRole.ADMINISTRATOR, WorkspaceRole.VP})
WORKSPACE_USERS = WORKSPACE_ADMINISTRATORS | {WorkspaceRole.MEMBER}
ANY_MEMBER = frozenset(WorkspaceRole)


@dataclass(frozen=True)
class Rule:
    """Roles that allow an action: on the instance, or in the workspace at hand; either suffices."""

    instance: frozenset[InstanceRole]
    workspace: frozenset[WorkspaceRole]
    refusal: str


TABLE: dict[Action, Rule] = {
    Action.MANAGE_OWN_ACCOUNT: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to see your account."),
    Action.SEE_WORKSPACES: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to see workspaces."),
    Action.SEE_WORKSPACE: Rule(ORGANIZATION, ANY_MEMBER, "Only its members see a workspace."),
    Action.EDIT_WORKSPACE: Rule(
        ORGANIZATION,
        WORKSPACE_ADMINISTRATORS,
        "Only administrators of this workspace change its settings.",
    ),
    Action.CREATE_WORKSPACE: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators create workspaces."
    ),
    Action.REMOVE_WORKSPACE: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators remove workspaces."
    ),
    Action.SEE_MEMBERS: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members see who is in a workspace."
    ),
    Action.MANAGE_MEMBERS: Rule(
        ORGANIZATION,
        WORKSPACE_ADMINISTRATORS,
        "Only administrators of this workspace manage its members.",
    ),
    Action.SEE_ORGANIZATION: Rule(
        ORGANIZATION,
        NOBODY_ELSE,
        "Only Organization Administrators see the organization's settings.",
    ),
    Action.EDIT_ORGANIZATION: Rule(
        ORGANIZATION,
        NOBODY_ELSE,
        "Only Organization Administrators change the organization's settings.",
    ),
    Action.MANAGE_ACCOUNTS: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators manage accounts."
    ),
    # The one thing that support users may not: who can be revoked must not be able to prevent it.
    Action.APPOINT_ADMINISTRATORS: Rule(
        frozenset({InstanceRole.ORGANIZATION_ADMINISTRATOR}),
        NOBODY_ELSE,
        "Only Organization Administrators themselves change the account of one, or make one.",
    ),
    Action.SEE_AUDIT_LOG: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators see the audit log."
    ),
    Action.SEE_TOKENS: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members have tokens of a workspace."
    ),
    Action.CREATE_TOKEN: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members create tokens of a workspace."
    ),
    Action.MANAGE_TOKENS: Rule(
        ORGANIZATION,
        WORKSPACE_ADMINISTRATORS,
        "Only administrators of this workspace manage the tokens of others.",
    ),
    Action.SEE_IMAGES: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to see managed images."),
    Action.CREATE_IMAGE: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to create a managed image."),
    Action.REBUILD_IMAGE: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to build a managed image."),
    Action.BUILD_FROM_SOURCE: Rule(
        ANY_ACCOUNT, NOBODY_ELSE, "Sign in to build a managed image from source."
    ),
    # Whoever may create an image may also change it; the audit log says who did, a roll-back undoes it.
    Action.ALTER_IMAGE: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to alter a managed image."),
    Action.ROLL_BACK_IMAGE: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to roll back a managed image."),
    Action.CANCEL_BUILD: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to cancel a build."),
    Action.REMOVE_IMAGE: Rule(
        ORGANIZATION,
        NOBODY_ELSE,
        "Only Organization Administrators can remove a managed image.",
    ),
    Action.RESTORE_IMAGE: Rule(
        ORGANIZATION,
        NOBODY_ELSE,
        "Only Organization Administrators restore a removed image.",
    ),
    Action.SEE_MODELS: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members see the models of a workspace."
    ),
    Action.CREATE_MODEL: Rule(
        ORGANIZATION, WORKSPACE_USERS, "Viewers see this workspace's models but create none."
    ),
    Action.EDIT_MODEL: Rule(
        ORGANIZATION, WORKSPACE_USERS, "Viewers see this workspace's models but change none."
    ),
    Action.REMOVE_MODEL: Rule(
        ORGANIZATION, WORKSPACE_USERS, "Viewers see this workspace's models but remove none."
    ),
    Action.SWAP_IMAGE: Rule(
        ORGANIZATION,
        WORKSPACE_USERS,
        "Viewers see what a model runs on but cannot swap its image.",
    ),
    # A viewer's token is what a machine gets that runs models and shall change nothing.
    Action.RESOLVE_IMAGE: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members run the models of a workspace."
    ),
    Action.MANAGE_BASE_IMAGES: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators manage base images."
    ),
    Action.WAKE_BUILD: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators send builds to workers."
    ),
    Action.MANAGE_WEBHOOKS: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators manage webhooks."
    ),
}


@dataclass(frozen=True)
class Actor:
    """Somebody acting: the account, and what the audit log says of the way they came."""

    user: User
    address: str | None = None
    token: ApiToken | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Actor:
        return cls(
            user=cast(User, request.user),
            address=client_address(request),
            token=getattr(request, "api_token", None),
        )


def allows(user: User, action: Action, workspace: Workspace | None = None) -> bool:
    """True if `user` may do `action`, in `workspace` where the action has one."""
    if not user.is_active:
        return False
    rule = TABLE[action]
    if user.role in rule.instance:
        return True
    if workspace is None or not rule.workspace:
        return False
    return workspace.memberships.filter(user=user, role__in=rule.workspace).exists()


def require(user: User, action: Action, workspace: Workspace | None = None) -> None:
    """Raise `NotAllowed` with the rule's own sentence unless `allows`."""
    if not allows(user, action, workspace):
        raise NotAllowed(
            TABLE[action].refusal, hint="Ask your organization administrator if you need this."
        )


class InWorkspace(Protocol):
    """What belongs to a workspace, and is subject to its roles."""

    @property
    def workspace(self) -> Workspace: ...


# URL parameter → keyword argument and finder, for what stands in a workspace; each app adds its own.
LOCATED: dict[str, tuple[str, Callable[[User, UUID], InWorkspace]]] = {}


def locates(
    parameter: str, name: str
) -> Callable[[Callable[[User, UUID], T]], Callable[[User, UUID], T]]:
    """Register how `needs` finds what a URL's `parameter` names; views get it as the argument `name`.

    The finder raises `NotFound` for what the user may not know of.
    """

    def register(find: Callable[[User, UUID], T]) -> Callable[[User, UUID], T]:
        LOCATED[parameter] = (name, find)
        return find

    return register


T = TypeVar("T", bound=InWorkspace)
R = TypeVar("R")
V = TypeVar("V", bound=Callable[..., HttpResponseBase])


def needs(
    action: Action, *, to_post: Action | None = None
) -> Callable[[Callable[..., R]], Callable[..., R | HttpResponse]]:
    """Guard a view of the console or the API: signed in, the URL's workspace visible, the action allowed.

    `to_post` is for a page that more people see than may send its form. A `workspace_id` in the URL becomes
    the keyword argument `workspace`; what `locates` registered is found too, and has to stand in that
    workspace.
    """

    def decorate(view: Callable[..., R]) -> Callable[..., R | HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> R | HttpResponse:
            if not isinstance(request.user, User):
                if wants_fragment(request):
                    # Followed by htmx, a redirect would put the form into the middle of the page.
                    return HttpResponseClientRefresh()
                return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
            workspace = None
            if "workspace_id" in kwargs:
                workspace = visible_workspace(request.user, kwargs.pop("workspace_id"))
                kwargs["workspace"] = workspace
            for parameter in LOCATED.keys() & kwargs.keys():
                name, find = LOCATED[parameter]
                kwargs[name] = found = find(request.user, kwargs.pop(parameter))
                if workspace not in (None, found.workspace):
                    raise NotFound("There is nothing at this address.")
                workspace = found.workspace
            require(request.user, action, workspace)
            if to_post is not None and request.method == "POST":
                require(request.user, to_post, workspace)
            return view(request, *args, **kwargs)

        guarded.needs = action  # type: ignore[attr-defined]
        guarded.needs_to_post = to_post or action  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: V) -> V:
    """Mark a view that anybody may open, signed in or not."""
    view.needs = view.needs_to_post = None  # type: ignore[attr-defined]
    return view


def visible_workspace(user: User, workspace_id: UUID) -> Workspace:
    try:
        return Workspace.objects.visible_to(user).get(pk=workspace_id)
    except Workspace.DoesNotExist as error:
        raise NotFound("There is no workspace at this address.") from error
