"""`manage.py registry_password`: what `aws ecr get-login-password` prints, where there is no AWS CLI."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from images.registry import connection
from ri_platform.errors import DomainError
from ri_platform.local.identity import take_identity


class Command(BaseCommand):
    help = (
        "Print a password for the registry, for the user AWS, valid for 12 hours. It is that of the AWS "
        "identity in this process's environment; beside `make run`, of the local build jobs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        take_identity()
        try:
            self.stdout.write(connection.control().authorization().password)
        except DomainError as error:
            raise CommandError(str(error)) from error
