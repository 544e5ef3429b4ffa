"""Users with their instance role, workspaces with their members, tokens, and the audit log."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager

    from workspaces.access import Actor

    Accounts = UserManager["User"]
else:
    Accounts = UserManager


class InstanceRole(models.TextChoices):
    """The role of an account on the whole instance."""

    ORGANIZATION_ADMINISTRATOR = "org_admin", "Organization Administrator"
    SUPPORT = "support", "Support user"
    BASIC = "basic", "Basic user"


class WorkspaceRole(models.TextChoices):
    """The role of a member in a workspace."""

    ADMINISTRATOR = "admin", "Workspace administrator"
    VP = "vp", "Workspace VP user"
    MEMBER = "member", "Workspace member"
    VIEWER = "viewer", "Workspace viewer"


class AccountManager(Accounts):
    """`manage.py createsuperuser` makes operators: superusers who administer the organization."""

    def create_superuser(self, *args: Any, **fields: Any) -> User:
        fields.setdefault("role", InstanceRole.ORGANIZATION_ADMINISTRATOR)
        return super().create_superuser(*args, **fields)


class User(AbstractUser):
    """An account. `role` is what it may do on the whole instance; memberships give the rest."""

    role = models.CharField(
        max_length=16, choices=InstanceRole.choices, default=InstanceRole.BASIC, db_index=True
    )
    # A name of the tz database, such as `Europe/Berlin`; empty means the browser's.
    time_zone = models.CharField(max_length=64, blank=True)

    memberships: RelatedManager[Membership]
    tokens: RelatedManager[ApiToken]
    password_mails: RelatedManager[PasswordMail]

    objects: ClassVar[AccountManager] = AccountManager()

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=InstanceRole.values), name="user_role_is_known"
            ),
            # Sign-in ignores case, so names must be unique without case.
            models.UniqueConstraint(Lower("username"), name="username_is_unique_in_any_case"),
        ]

    @property
    def is_organization_administrator(self) -> bool:
        """Support users have an organization administrator's privileges until one revokes them."""
        return self.is_active and self.role in (
            InstanceRole.ORGANIZATION_ADMINISTRATOR,
            InstanceRole.SUPPORT,
        )


class Organization(models.Model):
    """Settings of the whole instance, in one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    time_zone = models.CharField(max_length=64, default="UTC")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="there_is_one_organization"),
        ]

    def __str__(self) -> str:
        return "The organization"

    @classmethod
    def get(cls) -> Organization:
        """The row; the defaults until somebody changes a setting."""
        return cls.objects.filter(pk=1).first() or cls()


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    def visible_to(self, actor: Actor) -> WorkspaceQuerySet:
        """The actor's workspaces; all for organization administrators; for a token, its own."""
        seen = self
        if not actor.user.is_organization_administrator:
            seen = seen.filter(memberships__user=actor.user)
        return seen.filter(pk=actor.token.workspace_id) if actor.token else seen


class Workspace(models.Model):
    """A group of users and models. Managed images do not belong to a workspace."""

    audit_type: ClassVar[str] = "workspace"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True, max_length=2000)
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(User, through="Membership", related_name="workspaces")

    memberships: RelatedManager[Membership]
    tokens: RelatedManager[ApiToken]

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="workspace_name_is_not_empty")
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(
        max_length=16, choices=WorkspaceRole.choices, default=WorkspaceRole.MEMBER
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_is_unique"),
            models.CheckConstraint(
                condition=Q(role__in=WorkspaceRole.values), name="membership_role_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace} as {self.get_role_display()}"


class ApiToken(models.Model):
    """An API access token: acts for its user, until it expires or is revoked (then the row is gone).

    `secret_hash` is a SHA-256 in hex; `suffix` lets people tell their tokens apart.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="tokens")
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=120)
    secret_hash = models.CharField(max_length=64, unique=True)
    suffix = models.CharField(max_length=4)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "workspace", "name"], name="api_token_name_is_unique"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="api_token_is_named"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (…{self.suffix})"

    @property
    def has_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class FailedAuthentication(models.Model):
    """A count of failed authentications in a window; `workspaces.limits` defines `key`."""

    key = models.CharField(max_length=200, unique=True)
    failures = models.PositiveIntegerField(default=0)
    window_ends_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.failures} of {self.key}"


class AuditEvent(models.Model):
    """A recorded change. It is written in the change's own transaction and never altered.

    Names are copied, so that an event is readable after its object is gone.
    """

    event = models.CharField(max_length=64, db_index=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    # No constraint in the database: an event stays as it is when its account is deleted.
    user = models.ForeignKey(
        User, models.DO_NOTHING, null=True, related_name="+", db_constraint=False
    )
    username = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=16, blank=True)
    token_name = models.CharField(max_length=120, blank=True)
    address = models.GenericIPAddressField(null=True)
    object_type = models.CharField(max_length=32)
    object_name = models.CharField(max_length=255)
    workspace_name = models.CharField(max_length=120, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.CheckConstraint(condition=~Q(event=""), name="audit_event_is_named")]
        # What one account did, and what was done to one object, newest first: few rows among very many.
        indexes = [
            models.Index(fields=["username", "id"], name="audit_event_by_username"),
            models.Index(fields=["object_name", "id"], name="audit_event_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.object_name} by {self.username or 'the platform'}"

    @property
    def details_text(self) -> str:
        """The details as text for people."""
        return json.dumps(self.details, sort_keys=True) if self.details else ""


class MailState(models.TextChoices):
    """What became of a mail."""

    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Not sent"


class PasswordMail(models.Model):
    """A link to choose a password that is to be mailed. The link is made as it is sent, and kept nowhere.

    Without a `user` nothing is sent: somebody asked for a link by a name that no account has.
    """

    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="password_mails")
    # The address at that time.
    to = models.EmailField(blank=True)
    # The console's address as its reader sees it, with the scheme.
    console = models.CharField(max_length=300)
    asked_by_owner = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=MailState.choices, default=MailState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Why it was not sent yet, as a sentence.
    error = models.CharField(max_length=300, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "mail with a link"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=MailState.values), name="password_mail_state_is_known"
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="password_mail_due")
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: link to {self.to or 'nobody'}"
