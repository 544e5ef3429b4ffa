"""`manage.py doctor`: try everything that an instance needs, and say what to do about what fails."""

from __future__ import annotations

import os
import secrets
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.utils import timezone

from images.doctor import here, there
from images.doctor.abilities import turned_off
from images.doctor.findings import Finding, State, failure, skip, table, warning
from images.models import TaskDue
from images.wake import Task, send
from ri_platform.locks import exclusive
from ri_platform.settings import env

POLL_SECONDS = 0.2
# The parts of a trial in their order, each with the task that a worker is sent.
PARTS = (
    ("registry", Task.TRY_REGISTRY_SERVER),
    ("builds", Task.TRY_BUILD_JOBS),
    ("sources", Task.TRY_SOURCES),
    ("webhooks", Task.TRY_WEBHOOKS),
    ("removal", Task.END_TRIAL),
)


class Command(BaseCommand):
    help = (
        "Try the database, the broker, the workers with their AWS identities, a push and a pull, the "
        "package index, the mail server and the disk. Run it where the web process runs. Exit status 1 if "
        "anything fails."
    )
    # It tells of their problems itself, with everything else.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--seconds", type=float, default=60, help="how long to wait for each worker"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        try:
            for finding in self.findings(options["seconds"]):
                findings.append(finding)
        except DatabaseError as error:
            said = f"It went away during the trial: {str(error).strip()}"
            findings.append(failure("Database", said, "Look at PostgreSQL, and try again."))
        self.stdout.write(table(findings))
        broken = [item for item in findings if item.state == State.FAILED]
        self.stdout.write(
            f"\n{len(broken)} of {len(findings)} failed." if broken else "\nNothing failed."
        )
        if broken:
            sys.exit(1)

    def findings(self, seconds: float) -> Iterator[Finding]:
        yield from here.configuration()
        database = here.database()
        yield database
        if env.beside_make_run:
            adopt_make_run_environment()
        yield here.check_no_identity("Web")
        if database.state == State.FAILED:
            yield skip("The rest", "It takes the database.", "Mend the database first.")
            return
        migrations = here.migrations()
        yield migrations
        broker = here.broker()
        yield broker
        if State.FAILED in (migrations.state, broker.state):
            yield skip("Workers", "They cannot be asked.", "Mend what failed above first.")
        elif not settings.IMAGE_REGISTRY_ENABLED:
            yield skip("Workers", "The registry is off.", "Set RI_IMAGE_REGISTRY_ENABLE to true.")
        else:
            # One trial at a time.
            with exclusive("doctor", 0):
                yield from trial(seconds)


def adopt_make_run_environment() -> None:
    """Beside `make run` the shell's own AWS identity is not the web process's, which was started without."""
    from ri_platform.local.services import remove_aws_identity

    kept = remove_aws_identity(dict(os.environ))
    os.environ.clear()
    os.environ.update(kept)


def trial(seconds: float) -> Iterator[Finding]:
    number = 1 + secrets.randbelow(10**9)
    there.begin(number)
    try:
        for part, task in PARTS:
            if part == "sources" and not settings.SOURCE_BUILDS_ALLOWED:
                yield turned_off()
                continue
            send(task, number)
            yield from wait_for_findings(number, part, seconds)
    finally:
        there.end(number)


def wait_for_findings(number: int, part: str, seconds: float) -> list[Finding]:
    deadline = time.monotonic() + seconds
    while (found := there.answer_of(number, part)) is None:
        if time.monotonic() > deadline:
            return [no_answer(part, seconds)]
        time.sleep(POLL_SECONDS)
    return found


def no_answer(part: str, seconds: float) -> Finding:
    queue = "registry" if part == "removal" else part
    what = f"{queue.capitalize()} worker"
    said = f"None took the trial within {seconds:.0f} seconds"
    held = TaskDue.objects.filter(queue=queue, lease_expires_at__gt=timezone.now())
    if busy := held.first():
        return warning(
            what,
            f"{said}: it is busy ({busy.task.replace('_', ' ')}: {busy.of}).",
            f"Try again once that is done, or add {queue} workers.",
        )
    return failure(
        what,
        f"{said}.",
        f"Start a worker of the queue {queue}, and look at its log: it must reach database and broker.",
    )
