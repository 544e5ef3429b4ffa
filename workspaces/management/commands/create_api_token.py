"""`manage.py create_api_token --user U --workspace W --name N`: create a token and print nothing else."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ri_platform.errors import DomainError
from workspaces.access import Actor
from workspaces.models import User, Workspace
from workspaces.operations import tokens


class Command(BaseCommand):
    help = "Make an API access token for a user's workspace, and print it. It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, help="the username")
        parser.add_argument("--workspace", required=True, help="the workspace's name")
        parser.add_argument("--name", required=True, help="what will use the token")
        parser.add_argument("--days", type=int, help="a shorter life than the instance gives")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user named {options['user']}.")
        workspace = (
            Workspace.objects.visible_to(Actor(user)).filter(name=options["workspace"]).first()
        )
        if workspace is None:
            raise CommandError(f"{user.username} sees no workspace named {options['workspace']}.")
        try:
            made = tokens.create_token(
                Actor(user), workspace, options["name"], days=options["days"]
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(made.secret)
