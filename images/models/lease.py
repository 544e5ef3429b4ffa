"""Work that exactly one worker does at a time: claimed by compare-and-set, held under a lease.

Every claim increments the fencing token, and every write of the holder names its token. A worker that
was paused past its lease finds its writes refused, whoever took over in the meantime.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Generic, Self, TypeVar

from django.db import models
from django.db.models import Case, F, Q, When
from django.utils import timezone

from ri_platform.errors import DomainError
from ri_platform.locks import update_if_free
from ri_platform.metrics import LEASE_TAKEOVERS

M = TypeVar("M", bound="Lease")


class WorkState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


# Something may still come of it by itself.
ACTIVE = (WorkState.QUEUED, WorkState.RUNNING)
# How long after waking a worker the sweeper leaves the same work alone.
WAKE_INTERVAL = timedelta(seconds=30)


def next_wake() -> datetime:
    return timezone.now() + WAKE_INTERVAL


class LeaseLost(Exception):
    """Another worker has taken the work over, or it was cancelled: its holder stops and writes nothing.

    It is told to no person, so it is no `DomainError`, and what handles those never takes it for a failure.
    """

    def __init__(self) -> None:
        super().__init__("Another worker has taken this work over, or it was cancelled.")


def error_columns(error: DomainError | None) -> dict[str, str]:
    """The columns of a lease that tell an error; cleared where there is none."""
    if error is None:
        return {"error_code": "", "error_message": "", "error_hint": ""}
    return {
        "error_code": error.code,
        "error_message": error.message,
        "error_hint": error.hint,
    }


def end_columns(state: WorkState, error: DomainError | None = None) -> dict[str, Any]:
    """The columns that tell the end of work, and that no worker holds it any more."""
    return {
        "state": state,
        "finished_at": timezone.now(),
        "lease_expires_at": None,
        "deaths": 0,
        **error_columns(error),
    }


class HandOver(LeaseLost):
    """This worker must stop, and another is to go on with its work: it is told so by `Lease.hand_over`."""


class LeaseQuerySet(models.QuerySet[M], Generic[M]):
    def active(self) -> Self:
        """Queued or running."""
        return self.filter(state__in=ACTIVE)

    def fail(self, error: DomainError) -> int:
        """End rows that no worker holds with an error; returns how many there were."""
        return self.update(**end_columns(WorkState.FAILED, error))

    def due(self) -> Self:
        """Claimable, and not woken a moment ago: what the sweeper sends again."""
        return self.claimable().filter(due_at__lt=timezone.now())

    def claimable(self) -> Self:
        """Queued, or running under a lease that ran out because its worker died."""
        now = timezone.now()
        return self.filter(
            Q(state=WorkState.QUEUED) | Q(state=WorkState.RUNNING, lease_expires_at__lt=now)
        )

    def claim(self, pk: int, seconds: float) -> M | None:
        """Take the lease of one row, or None if another worker holds it or nothing is left to do.

        This queryset's own filters are looked at first; the compare-and-set itself names columns of
        this one table only. A joined condition would become a subquery, which PostgreSQL does not
        evaluate anew for a row it had to wait for, and two workers could both win. A row that somebody has
        locked is not waited for: a worker that was paused in the middle of writing it looks like a dead one.
        """
        before = self.filter(pk=pk).values_list("state", flat=True).first()
        if before is None:
            return None
        now = timezone.now()
        plain = self.model._default_manager.get_queryset()
        assert isinstance(plain, LeaseQuerySet)
        won = update_if_free(
            plain.claimable().filter(pk=pk),
            state=WorkState.RUNNING,
            lease_token=F("lease_token") + 1,
            lease_expires_at=now + timedelta(seconds=seconds),
            # Should this worker die, the first sweep after its lease wakes another.
            due_at=now,
            started_at=now,
            attempts=F("attempts") + 1,
            # PostgreSQL reads the state that the row has when it is written.
            deaths=F("deaths") + Case(When(state=WorkState.RUNNING, then=1), default=0),
        )
        if not won:
            return None
        if before == WorkState.RUNNING:
            # Its lease had run out: whoever held it has died, or could not renew it in time.
            LEASE_TAKEOVERS.labels(self.model._meta.model_name).inc()
        return self.model._default_manager.get(pk=pk)


class Lease(models.Model):
    """Abstract: a row that is work.

    `attempts` counts its claims. `deaths` counts the workers that died in it since an attempt last came to an
    end, whichever: a claim of work whose lease ran out counts one.
    """

    state = models.CharField(max_length=16, choices=WorkState.choices, default=WorkState.QUEUED)
    lease_token = models.PositiveIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(default=next_wake)
    attempts = models.PositiveIntegerField(default=0)
    deaths = models.PositiveIntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    error_hint = models.TextField(blank=True)

    class Meta:
        abstract = True

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    def succeed(self, **columns: Any) -> None:
        """End the work well, with its result in `columns`. Raises `LeaseLost`."""
        self.write(**end_columns(WorkState.SUCCEEDED), **columns)

    def fail(self, error: DomainError, **columns: Any) -> None:
        """End the work with an error. Raises `LeaseLost`."""
        self.write(**end_columns(WorkState.FAILED, error), **columns)

    def put_back(self, due_at: datetime, **columns: Any) -> None:
        """End this attempt, and have the next one wait until `due_at`. Raises `LeaseLost`."""
        self.write(
            state=WorkState.QUEUED, lease_expires_at=None, due_at=due_at, deaths=0, **columns
        )

    def hand_over(self, *, counted: bool) -> None:
        """Give the work back for another worker, at once. Raises `LeaseLost`.

        `counted`: as a death, of which there are only so many, since the work may be the reason.
        """
        self.write(
            state=WorkState.QUEUED,
            lease_expires_at=None,
            due_at=timezone.now(),
            deaths=self.deaths + 1 if counted else self.deaths,
        )

    def renew(self, seconds: float) -> None:
        """Hold the lease for `seconds` more. Raises `LeaseLost`."""
        self.write(lease_expires_at=timezone.now() + timedelta(seconds=seconds))

    def write(self, **values: Any) -> None:
        """Change columns of the row while this worker holds it. Raises `LeaseLost`."""
        if not self._held.update(**values):
            raise LeaseLost
        for name, value in values.items():
            setattr(self, name, value)

    def confirm(self) -> None:
        """Ask the database whether this worker holds the work at this moment. Raises `LeaseLost`."""
        if not self._held.exists():
            raise LeaseLost

    @property
    def _held(self) -> models.QuerySet[Self]:
        """This row, while this worker holds it.

        That its lease has run out takes nothing from it as long as nobody has claimed the row: nobody else
        is at the work, and its end is worth more than a second attempt. A claim changes the token, so of
        two that come at once PostgreSQL lets one win.
        """
        rows = type(self)._default_manager.filter(pk=self.pk, lease_token=self.lease_token)
        return rows.filter(state=WorkState.RUNNING)


def lease_constraints(prefix: str) -> list[models.BaseConstraint]:
    """The invariants that hold for every kind of leased work."""
    return [
        models.CheckConstraint(
            condition=Q(state__in=WorkState.values), name=f"{prefix}_state_is_known"
        ),
        models.CheckConstraint(
            condition=~Q(state=WorkState.RUNNING) | Q(lease_expires_at__isnull=False),
            name=f"{prefix}_running_holds_a_lease",
        ),
        models.CheckConstraint(
            condition=~Q(state=WorkState.FAILED) | ~Q(error_code=""),
            name=f"{prefix}_failed_has_a_code",
        ),
    ]
