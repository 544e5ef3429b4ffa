"""`manage.py build_base_image tabular 3.11`: a base image of the catalogue, built by the builds worker."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import CommandError

from images.catalogue import catalogue
from images.management.commands import import_base_image
from images.models import ImageType, PythonVersion
from ri_platform.errors import DomainError


class Command(import_base_image.Command):
    help = (
        "Build a base image of the catalogue (images/catalogue.toml) and make it the current one of its "
        "use case and Python version. Use cases other than `all` stand on the current base image `all`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("image_type", choices=ImageType.values)
        parser.add_argument("python_version", choices=PythonVersion.values)
        parser.add_argument(
            "--platform-version",
            default=date.today().strftime("%Y.%m.%d"),
            help="tells versions of a base image apart; today's date unless given",
        )
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the build")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            source = catalogue().source(options["image_type"], options["python_version"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.ask(source, options)
