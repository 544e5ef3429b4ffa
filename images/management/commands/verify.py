"""`manage.py verify`: hold what the records promise against the registry, and tell what is not so."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from images.jobs import verification
from images.jobs.verified_images import LOOK_STAGES
from images.models import Instance, Verification
from images.models.lease import WorkState
from images.registry import naming
from images.verification.findings import Finding

POLL_SECONDS = 0.5
SOUND, FOUND, CANNOT_LOOK = 0, 1, 2


class Command(BaseCommand):
    help = (
        "See whether the registry holds each ready image as recorded, whether a repository has no record, "
        "and whether work, requests and the audit log are whole. The workers look; one that was interrupted "
        "goes on. Exit status 0 if all is sound, 1 with findings, 2 if it cannot be looked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--deep", action="store_true", help="read every blob and compute its digest"
        )
        parser.add_argument("--json", action="store_true", help="print a JSON object")
        parser.add_argument(
            "--anew", action="store_true", help="begin anew, where one was interrupted"
        )
        parser.add_argument(
            "--names-from",
            type=Path,
            metavar="FILE",
            help="names of repositories, such as AWS lists them to an operator, to look for as well",
        )
        parser.add_argument(
            "--seconds", type=float, default=120, help="how long to wait for a worker to go on"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.IMAGE_REGISTRY_ENABLED:
            raise cannot_look("The registry is off (RI_IMAGE_REGISTRY_ENABLE).")
        instance = Instance.objects.seen()
        if instance.is_refused:
            raise cannot_look(str(instance.refusal))
        work = self.begin(options)
        try:
            self.follow(work, options["seconds"])
        except KeyboardInterrupt:
            self.stderr.write("The workers go on; the same command shows how far they are.")
            sys.exit(CANNOT_LOOK)
        findings = [Finding.from_json(item) for item in work.findings]
        self.stdout.write(as_json(work) if options["json"] else as_text(work, findings))
        sys.exit(FOUND if findings else SOUND)

    def begin(self, options: dict[str, Any]) -> Verification:
        """The verification that was interrupted, or a new one."""
        asked = Verification.objects.asked_for().active().filter(deep=options["deep"])
        if options["anew"] or options["names_from"]:
            asked.update(state=WorkState.CANCELLED, lease_expires_at=None)
        under_way = asked.first()
        if under_way is not None:
            self.stderr.write(f"Going on with {under_way}: {progress(under_way)}")
            return under_way
        return verification.begin(deep=options["deep"], more_names=names_in(options["names_from"]))

    def follow(self, work: Verification, seconds: float) -> None:
        """Wait for the end, and tell how far it is; raises `CommandError` if no worker goes on."""
        told, moved_at = "", monotonic()
        while work.is_active:
            sleep(POLL_SECONDS)
            before = (work.stage, work.cursor, work.name_cursor, work.seen, work.lease_token)
            work.refresh_from_db()
            if (work.stage, work.cursor, work.name_cursor, work.seen, work.lease_token) != before:
                moved_at = monotonic() if not work.error_message else moved_at
            if monotonic() - moved_at > seconds:
                raise cannot_look(stall_message(work, seconds))
            if progress(work) != told and self.stderr.isatty():
                told = progress(work)
                self.stderr.write(told)
        if work.state == WorkState.CANCELLED:
            raise cannot_look("Somebody began a verification anew.")
        if work.state == WorkState.FAILED:
            raise cannot_look(f"{work.error_message} {work.error_hint}".strip())


def cannot_look(said: str) -> CommandError:
    return CommandError(said, returncode=CANNOT_LOOK)


def stall_message(work: Verification, seconds: float) -> str:
    if work.error_message:
        return f"{work.error_message} {work.error_hint}".strip()
    queue = "builds" if work.stage in LOOK_STAGES else "registry"
    return (
        f"No {queue} worker went on within {seconds:.0f} seconds. The same command continues from "
        f"{progress(work)}"
    )


def names_in(file: Path | None) -> list[str]:
    """The names in a file, separated by blanks, with or without the prefix."""
    if file is None:
        return []
    try:
        words = file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise cannot_look(f"{file} cannot be read: {error}") from error
    prefix = f"{naming.effective_prefix()}/"
    return [word.removeprefix(prefix) for word in words]


def progress(work: Verification) -> str:
    found = f"{len(work.findings)} findings" if len(work.findings) != 1 else "1 finding"
    return f"{work.seen:,} of {work.total:,} images, {found}."


def as_text(work: Verification, findings: list[Finding]) -> str:
    lines = [f"{item.code}: {item.said}" for item in findings]
    how = "every blob read" if work.deep else "every blob asked for"
    return "\n".join(
        [
            *lines,
            f"{progress(work)} {work.requests:,} requests in {work.seconds:,.0f} s of workers, {how}.",
        ]
    )


def as_json(work: Verification) -> str:
    return json.dumps(
        {
            "verification": work.pk,
            "sound": not work.findings,
            "deep": work.deep,
            "images": work.seen,
            "requests": work.requests,
            "seconds": round(work.seconds, 3),
            "beganAt": work.created_at.isoformat(),
            "endedAt": work.finished_at.isoformat() if work.finished_at else None,
            "findings": work.findings,
        },
        indent=2,
    )
