"""The access table and its check. Every rule about roles is here.

A user outside a workspace gets 404 for it, so its existence does not leak. A user who sees the workspace
but lacks the privilege gets 403 with a sentence that names the roles that have it (`workspaces.guard`). The
table also limits API access tokens: a token acts for its user in its own workspace
(docs/decisions/0011-ownership.md).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, cast
from uuid import UUID

from django.http import HttpRequest

from ri_platform.address import client_address
from ri_platform.errors import NotAllowed
from workspaces.models import ApiToken, InstanceRole, User, Workspace, WorkspaceRole


class Action(enum.Enum):
    """A user's verb, or a page. The value is stable: the audit log and the tests name it."""

    MANAGE_OWN_ACCOUNT = "account.manage_own"
    SEE_WORKSPACES = "workspaces.see"
    SEE_WORKSPACE = "workspace.see"
    EDIT_WORKSPACE = "workspace.edit"
    SET_DEFAULT_IMAGE = "workspace.set_default_image"
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
    REVOKE_TOKEN = "token.revoke"  # noqa: S105 - a verb, no secret
    MANAGE_TOKENS = "tokens.manage"
    SEE_IMAGES = "images.see"
    CREATE_IMAGE = "image.create"
    REBUILD_IMAGE = "image.rebuild"
    BUILD_FROM_SOURCE = "image.build_from_source"
    ALTER_IMAGE = "image.alter"
    ROLL_BACK_IMAGE = "image.roll_back"
    CANCEL_BUILD = "image.cancel_build"
    CHECK_IMPORTS = "image.check_imports"
    SET_IMPORT_POLICY = "image.set_import_policy"
    SET_CHANNEL = "image.set_channel"
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
    MANAGE_UNKNOWN_REPOSITORIES = "repositories.manage_unknown"
    WAKE_BUILD = "build.wake"


ORGANIZATION = frozenset({InstanceRole.ORGANIZATION_ADMINISTRATOR, InstanceRole.SUPPORT})
ANY_ACCOUNT = frozenset(InstanceRole)
NOBODY_ELSE: frozenset[WorkspaceRole] = frozenset()
WORKSPACE_ADMINISTRATORS = frozenset({WorkspaceRole.ADMINISTRATOR, WorkspaceRole.VP})
WORKSPACE_USERS = WORKSPACE_ADMINISTRATORS | {WorkspaceRole.MEMBER}
ANY_MEMBER = frozenset(WorkspaceRole)


ASK = "Ask an Organization Administrator if you need this."
COPY = "Copy it to have one of your own that you can change, or ask its owner."


@dataclass(frozen=True)
class Rule:
    """Roles that allow an action: on the instance, or in the workspace at hand; either suffices.

    With `creator`, the action concerns an object with an owner (`Owned`): the workspace is then the one
    that it was created in, and its creator may act, too. `token_refusal` is the sentence for actions that no
    token may do, whatever the roles of its user.
    """

    instance: frozenset[InstanceRole]
    workspace: frozenset[WorkspaceRole]
    refusal: str
    hint: str = ASK
    creator: bool = False
    token_refusal: str = ""


def owners_alone(verb: str) -> Rule:
    """The rule for actions that change a managed image. Its owners may do them."""
    return Rule(
        ORGANIZATION,
        WORKSPACE_USERS,
        f"Only its creator, members of the workspace that it was created in (not viewers), and "
        f"Organization Administrators {verb}.",
        hint=COPY,
        creator=True,
    )


TABLE: dict[Action, Rule] = {
    Action.MANAGE_OWN_ACCOUNT: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to see your account."),
    Action.SEE_WORKSPACES: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to see workspaces."),
    Action.SEE_WORKSPACE: Rule(ORGANIZATION, ANY_MEMBER, "Only its members see a workspace."),
    Action.EDIT_WORKSPACE: Rule(
        ORGANIZATION,
        WORKSPACE_ADMINISTRATORS,
        "Only administrators of this workspace change its settings.",
    ),
    Action.SET_DEFAULT_IMAGE: Rule(
        ORGANIZATION,
        WORKSPACE_ADMINISTRATORS,
        "Only administrators of this workspace choose its default image.",
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
    # Denied to support users: administrators can revoke their role, and they must not prevent that.
    Action.APPOINT_ADMINISTRATORS: Rule(
        frozenset({InstanceRole.ORGANIZATION_ADMINISTRATOR}),
        NOBODY_ELSE,
        "Only Organization Administrators themselves change the account of one, or make one.",
        token_refusal="No API access token changes the account of an Organization Administrator, "  # noqa: S106
        "or makes one.",
    ),
    Action.SEE_AUDIT_LOG: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators see the audit log."
    ),
    Action.SEE_TOKENS: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members have tokens of a workspace."
    ),
    Action.CREATE_TOKEN: Rule(
        ORGANIZATION,
        ANY_MEMBER,
        "Only its members create tokens of a workspace.",
        token_refusal="An API access token makes no tokens.",  # noqa: S106
    ),
    Action.REVOKE_TOKEN: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members revoke their tokens of a workspace."
    ),
    Action.MANAGE_TOKENS: Rule(
        ORGANIZATION,
        WORKSPACE_ADMINISTRATORS,
        "Only administrators of this workspace manage the tokens of others.",
    ),
    Action.SEE_IMAGES: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to see managed images."),
    Action.CREATE_IMAGE: Rule(ANY_ACCOUNT, NOBODY_ELSE, "Sign in to create a managed image."),
    Action.REBUILD_IMAGE: owners_alone("rebuild this image"),
    Action.BUILD_FROM_SOURCE: owners_alone("have this image built from source"),
    Action.ALTER_IMAGE: owners_alone("alter this image"),
    Action.ROLL_BACK_IMAGE: owners_alone("roll this image back"),
    Action.CANCEL_BUILD: owners_alone("cancel a build of this image"),
    Action.CHECK_IMPORTS: owners_alone("have the imports of this image tried"),
    Action.SET_IMPORT_POLICY: owners_alone(
        "choose what becomes of imports of this image that fail"
    ),
    Action.SET_CHANNEL: owners_alone("point a channel of this image at a build"),
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
    # A machine that runs models gets a viewer's token, which must not change anything.
    Action.RESOLVE_IMAGE: Rule(
        ORGANIZATION, ANY_MEMBER, "Only its members run the models of a workspace."
    ),
    Action.MANAGE_BASE_IMAGES: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators manage base images."
    ),
    Action.MANAGE_UNKNOWN_REPOSITORIES: Rule(
        ORGANIZATION,
        NOBODY_ELSE,
        "Only Organization Administrators decide about repositories that no record knows.",
    ),
    Action.WAKE_BUILD: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators send builds to workers."
    ),
    Action.MANAGE_WEBHOOKS: Rule(
        ORGANIZATION, NOBODY_ELSE, "Only Organization Administrators manage webhooks."
    ),
}


# A viewer's token may read, and create an image as any account may. It may do nothing else that its user
# may do when signed in, so that it can be given to a machine that runs models.
A_VIEWERS_TOKEN_MAY = frozenset(
    {
        Action.SEE_WORKSPACES,
        Action.SEE_WORKSPACE,
        Action.SEE_MEMBERS,
        Action.SEE_TOKENS,
        Action.SEE_IMAGES,
        Action.CREATE_IMAGE,
        Action.SEE_MODELS,
        Action.RESOLVE_IMAGE,
    }
)


class Owned(Protocol):
    """An object with a creator and a workspace. If both are gone, the organization owns it."""

    created_by_id: int | None
    created_in_id: UUID | None


# The object or the workspace of an action, where the rule needs it.
Subject = Workspace | Owned


@dataclass(frozen=True)
class Actor:
    """The actor of a request: the account, its token if there is one, and the client's address."""

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


class Permissions:
    """The privileges of an actor. The roles are read once, so that a page can check many actions."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    @cached_property
    def roles(self) -> dict[UUID, str]:
        """Workspace → the actor's role there; with a token, in the token's workspace alone."""
        memberships = self.actor.user.memberships.all()
        if self.actor.token is not None:
            memberships = memberships.filter(workspace=self.actor.token.workspace_id)
        return dict(memberships.values_list("workspace_id", "role"))

    @property
    def by_viewers_token(self) -> bool:
        token, user = self.actor.token, self.actor.user
        return (
            token is not None
            and user.role not in ORGANIZATION
            and self.roles.get(token.workspace_id) == WorkspaceRole.VIEWER
        )

    def allow(self, action: Action, subject: Subject | None = None) -> bool:
        """Whether the actor may do `action`: in a workspace, or to what has an owner, where it has one."""
        return not self.refusal(action, subject)

    def refusal(self, action: Action, subject: Subject | None = None) -> str:
        """The sentence that refuses the action; empty if it is allowed."""
        user, token, rule = self.actor.user, self.actor.token, TABLE[action]
        if not user.is_active:
            return rule.refusal
        if token is not None:
            if rule.token_refusal:
                return rule.token_refusal
            if isinstance(subject, Workspace) and subject.pk != token.workspace_id:
                return "An API access token acts in its own workspace alone."
            if action not in A_VIEWERS_TOKEN_MAY and self.by_viewers_token:
                return "A viewer's API access token creates images, and changes nothing else."
        if user.role in rule.instance:
            return ""
        if isinstance(subject, Workspace):
            workspace_id: UUID | None = subject.pk
        elif subject is not None and rule.creator:
            # A token acts in its own workspace only: it does not own its user's objects elsewhere.
            here = token is None or subject.created_in_id in (None, token.workspace_id)
            if subject.created_by_id == user.pk and here:
                return ""
            workspace_id = subject.created_in_id
        else:
            workspace_id = None
        if workspace_id is None or not rule.workspace:
            return rule.refusal
        return "" if self.roles.get(workspace_id) in rule.workspace else rule.refusal


def allows(actor: Actor, action: Action, subject: Subject | None = None) -> bool:
    """Whether `actor` may do `action`, with the roles that they have now."""
    return Permissions(actor).allow(action, subject)


def require(actor: Actor, action: Action, subject: Subject | None = None) -> None:
    """Raise `NotAllowed` with the rule's own sentence unless `allows`."""
    if refusal := Permissions(actor).refusal(action, subject):
        raise NotAllowed(refusal, hint=TABLE[action].hint)
