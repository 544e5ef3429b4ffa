"""Rate limits of failed authentication, counted in PostgreSQL so that all web processes share the counts.

Only failures are counted, so a valid token is never limited. Failed sign-ins are counted by address and
account: an attacker at another address cannot lock out an account's owner.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from ri_platform.errors import TooManyRequests
from workspaces.models import FailedAuthentication

WINDOW = timedelta(minutes=1)


def has_failed(key: str, times: int) -> bool:
    """Whether `key` has failed at least `times` times in the current window."""
    return FailedAuthentication.objects.filter(
        key=key[:200], window_ends_at__gt=timezone.now(), failures__gte=times
    ).exists()


def refuse_after_failures(key: str, limit: int, sentence: str) -> None:
    """Raise `TooManyRequests` if `key` has failed `limit` times in the current window."""
    now = timezone.now()
    row = FailedAuthentication.objects.filter(key=key[:200], window_ends_at__gt=now).first()
    if row is not None and row.failures >= limit:
        raise TooManyRequests(
            sentence,
            hint="Check what you enter, and try again in a minute.",
            retry_after=int((row.window_ends_at - now).total_seconds()) + 1,
        )


def count_failure(key: str, limit: int, sentence: str) -> None:
    """Count a failure. Raises like `refuse_after_failures` if the limit is reached."""
    refuse_after_failures(key, limit, sentence)
    now = timezone.now()
    row, _ = FailedAuthentication.objects.get_or_create(
        key=key[:200], defaults={"window_ends_at": now}
    )
    if row.window_ends_at <= now:
        FailedAuthentication.objects.filter(pk=row.pk).update(
            window_ends_at=now + WINDOW, failures=1
        )
    else:
        FailedAuthentication.objects.filter(pk=row.pk).update(failures=F("failures") + 1)


def forget_old_failures() -> int:
    """Delete rows whose window ended long ago; returns their number."""
    gone, _ = FailedAuthentication.objects.filter(
        window_ends_at__lt=timezone.now() - WINDOW
    ).delete()
    return gone
