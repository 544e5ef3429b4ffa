"""The doctor's trials in its own process, which should run where the web process does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
from celery import current_app
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection
from kombu.exceptions import KombuError

from images.doctor.findings import Finding, failure, ok, warning
from images.registry.ecr import identity
from ri_platform.health import Schema

BROKER_SECONDS = 5


def configuration() -> Iterator[Finding]:
    """The problems that `manage.py check --deploy` finds; beside `make run`, those of `manage.py check`."""
    from ri_platform.settings import env

    said = run_checks(include_deployment_checks=not env.beside_make_run)
    serious = [message for message in said if message.level >= ERROR]
    for message in said:
        kind = failure if message in serious else warning
        yield kind("Configuration", message.msg, str(message.hint or "See docs/configuration.md."))
    if not said:
        yield ok("Configuration", "The checks have nothing to say.")


def database() -> Finding:
    begun = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
    except DatabaseError as error:
        return failure(
            "Database",
            f"It does not answer: {str(error).strip()}",
            "Look at DATABASE_URL, and whether PostgreSQL runs and takes connections from here.",
        )
    taken = (time.monotonic() - begun) * 1000
    return ok("Database", f"PostgreSQL {version} answers in {taken:.0f} ms.")


def migrations() -> Finding:
    missing = Schema().missing_migrations()
    if missing:
        return failure("Migrations", f"{missing} are not applied.", "Run: manage.py migrate")
    return ok("Migrations", "All are applied.")


def broker() -> Finding:
    """Reach the broker, and count what waits in each of the workers' queues."""
    kind = settings.CELERY_BROKER_URL.partition("://")[0]
    waiting, missing = [], []
    refusals: tuple[type[BaseException], ...] = ()
    try:
        with current_app.connection_for_write() as link:
            link.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
            refusals = link.channel_errors
            for queue in current_app.amqp.queues:
                # A channel each: a queue that is not there closes the one it was asked on.
                channel: Any
                with link.channel() as channel:
                    try:
                        told = channel.queue_declare(queue, passive=True)
                    except refusals:
                        missing.append(queue)
                    else:
                        waiting.append(f"{queue} {told.message_count}")
    except (OSError, KombuError, psycopg.Error) as error:
        return failure(
            "Broker",
            f"{kind} does not answer: {error}",
            "Look at CELERY_BROKER_URL and the broker. No work is lost: it starts once the broker answers.",
        )
    if missing:
        return warning(
            "Broker",
            f"{kind} answers, but has no queue {', '.join(missing)}.",
            "Start the workers of these queues; each makes its own.",
        )
    return ok("Broker", f"{kind} answers. Messages waiting: {', '.join(waiting)}.")


def check_no_identity(name: str) -> Finding:
    """That this process, named `name`, could do nothing in AWS."""
    found = identity.source()
    if found:
        return failure(
            f"{name}: AWS identity",
            f"It has one, from {found}, and should have none.",
            f"Take it away from where the {name.lower()} runs. "
            "If this is another process's place, run the doctor where the web process runs.",
        )
    return ok(f"{name}: AWS identity", "It has none, as it should be.")
