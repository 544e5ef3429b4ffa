"""`manage.py adopt_registry <id>`: own the repositories that another instance has marked."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from images.models import Instance
from images.operations.instance import adopt_registry
from images.registry.naming import effective_prefix
from ri_platform.errors import DomainError

POLL_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Adopt the repositories under this instance's prefix, which carry another instance's mark. Only for "
        "an instance that is no more: one that still runs stops acting on them within five minutes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "mark", help="the other instance's id as the refusal tells it, or: unmarked"
        )
        parser.add_argument(
            "--seconds", type=float, default=60, help="how long to wait for the workers"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            adopt_registry(options["mark"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        deadline = time.monotonic() + options["seconds"]
        while not (instance := Instance.objects.this()).may_act:
            if time.monotonic() > deadline:
                raise CommandError(
                    "No worker has done it yet; it is done once a registry worker and a builds worker run."
                )
            time.sleep(POLL_SECONDS)
        self.stdout.write(
            f"The repositories under {effective_prefix()}/ are those of this instance, {instance}."
        )
