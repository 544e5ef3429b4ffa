"""System checks (`manage.py check`) of this installation. Each message names the variable to change."""

from __future__ import annotations

import difflib
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from ri_platform.settings import env

# docs/operations.md has the measured behaviour of brokers when a worker is killed.
BROKERS = ("amqp", "amqps", "pgmq", "memory")
SLOW_BROKERS = ("redis", "rediss")


@register
def variables_are_known(**kwargs: Any) -> list[CheckMessage]:
    """Report unknown variables: a mistyped name would silently leave the default in force."""
    found: list[CheckMessage] = []
    for name in env.unknown_names():
        near = difflib.get_close_matches(name, env.declared, 1)
        found.append(
            Warning(
                f"{name} is set, but nothing reads it.",
                hint=f"Did you mean {near[0]}?"
                if near
                else "docs/configuration.md lists them all.",
                id="ri_platform.W001",
            )
        )
    return found


@register
def broker_keeps_messages(**kwargs: Any) -> list[CheckMessage]:
    scheme = settings.CELERY_BROKER_URL.partition("://")[0].partition("+")[0]
    if scheme in BROKERS:
        return []
    hint = "Use RabbitMQ (amqp://) or PostgreSQL itself (pgmq://)."
    if scheme in SLOW_BROKERS:
        return [
            Warning(
                "CELERY_BROKER_URL names Redis, which hands the message of a killed worker on only "
                "after more than a minute.",
                hint=hint,
                id="ri_platform.W002",
            )
        ]
    return [
        Error(
            f"CELERY_BROKER_URL begins with {scheme}://, which is no broker that this platform runs on.",
            hint=hint,
            id="ri_platform.E002",
        )
    ]


@register
def mail_has_a_sender(**kwargs: Any) -> list[CheckMessage]:
    if not settings.MAIL_CONFIGURED or "@" in settings.DEFAULT_FROM_EMAIL:
        return []
    return [
        Error(
            "EMAIL_URL is set, but RI_EMAIL_FROM names no sender.",
            hint="Set it to an address that the mail server lets this instance send from.",
            id="ri_platform.E003",
        )
    ]


@register
def metrics_token_cannot_be_guessed(**kwargs: Any) -> list[CheckMessage]:
    if not settings.METRICS_TOKEN or len(settings.METRICS_TOKEN) >= 16:
        return []
    return [
        Warning(
            "RI_METRICS_TOKEN is shorter than 16 characters, so it can be guessed.",
            hint="Make one with: openssl rand -hex 32",
            id="ri_platform.W003",
        )
    ]


@register(Tags.security, deploy=True)
def secrets_are_this_installations_own(**kwargs: Any) -> list[CheckMessage]:
    """Require a secret key: a random key for each process ends all sessions at a restart."""
    if settings.SECRET_KEY_SET:
        return []
    return [
        Error(
            "RI_SECRET_KEY is not set, so each process makes a key of its own.",
            hint="Set RI_SECRET_KEY, or RI_SECRET_KEY_FILE to a file that holds it.",
            id="ri_platform.E001",
        )
    ]


@register(Tags.security, deploy=True)
def served_to_people_safely(**kwargs: Any) -> list[CheckMessage]:
    """Replace Django's checks, which name settings instead of variables (`SILENCED_SYSTEM_CHECKS`)."""
    found: list[CheckMessage] = []
    if not settings.HTTPS:
        found.append(
            Warning(
                "RI_HTTPS is off, so cookies also travel without TLS, and nothing redirects to HTTPS.",
                hint="Put a proxy with TLS in front, and set RI_HTTPS=true.",
                id="ri_platform.W004",
            )
        )
    if settings.DEBUG:
        found.append(
            Error(
                "RI_DEBUG is on, so error pages show code and settings to anybody.",
                hint="Leave RI_DEBUG out.",
                id="ri_platform.E003",
            )
        )
    if not env.is_set("RI_ALLOWED_HOSTS"):
        found.append(
            Warning(
                "RI_ALLOWED_HOSTS is not set, so the console answers on this machine alone.",
                hint="Set it to the console's host name.",
                id="ri_platform.W005",
            )
        )
    return found


@register(Tags.security, deploy=True)
def refuse_demo(**kwargs: Any) -> list[CheckMessage]:
    """Refuse the demo in production: its accounts share one password."""
    if not settings.DEMO:
        return []
    return [Error("RI_DEMO is set, which is for `make run` alone.", id="ri_platform.E010")]
