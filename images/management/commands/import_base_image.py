"""`manage.py import_base_image`: ask the builds worker for a base image, and wait for it."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from images.models import BaseImage, ImageType, PythonVersion
from images.models.base_source import KINDS, Source
from images.models.lease import WorkState
from images.operations import base_images
from ri_platform.errors import DomainError

POLL_SECONDS = 1.0
IMPORTED = [kind for kind in KINDS.values() if kind.is_imported]


class Command(BaseCommand):
    help = (
        "Import a base image from a registry, an OCI layout, a rootfs tar or a suite of Debian or Ubuntu. "
        "A builds worker does the work; this command only asks, and follows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        for kind in IMPORTED:
            source.add_argument(f"--{kind.word}", metavar=kind.metavar, help=kind.help)
        parser.add_argument("--python-version", required=True, choices=PythonVersion.values)
        parser.add_argument("--image-type", default=ImageType.ALL, choices=ImageType.values)
        parser.add_argument(
            "--platform-version",
            default=date.today().strftime("%Y.%m.%d"),
            help="tells versions of a base image apart; today's date unless given",
        )
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the import")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = next(kind for kind in IMPORTED if options[kind.word])
        name = options[kind.word]
        if kind.is_file:
            path = Path(name).resolve()
            if not path.exists():
                raise CommandError(f"There is nothing at {path}.")
            name = str(path)
        self.ask(str(Source(kind, name)), options)

    def ask(self, source: str, options: dict[str, Any]) -> None:
        """Ask for the base image, and follow unless told not to."""
        try:
            base = base_images.import_base_image(
                None,
                image_type=options["image_type"],
                python_version=options["python_version"],
                platform_version=options["platform_version"],
                source=source,
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Importing {base} from {base.source} …")
        if not options["no_wait"]:
            self.follow(base)

    def follow(self, base: BaseImage) -> None:
        while base.is_active:
            time.sleep(POLL_SECONDS)
            base.refresh_from_db()
        if base.state != WorkState.SUCCEEDED:
            raise CommandError(f"{base.error_message} {base.error_hint}".strip())
        self.stdout.write(
            self.style.SUCCESS(
                f"{base} is ready: Python {base.python_full_version or base.python_version} at "
                f"{base.interpreter} on {base.os_name} ({base.libc_described}), {base.manifest_digest}"
            )
        )
