"""`manage.py seed_demo`: what a first look needs. Nothing that is there already is overwritten."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from images.catalogue import catalogue
from images.models import BaseImage, ImageType
from images.models.lease import WorkState
from images.operations import base_images
from workspaces.models import InstanceRole, Membership, User, Workspace, WorkspaceRole

WORKSPACE = "Workspace 1"
PEOPLE = (
    ("admin", InstanceRole.ORGANIZATION_ADMINISTRATOR, WorkspaceRole.ADMINISTRATOR),
    ("member", InstanceRole.BASIC, WorkspaceRole.MEMBER),
    ("viewer", InstanceRole.BASIC, WorkspaceRole.VIEWER),
)
PYTHON = "3.11"
PLATFORM_VERSION = "demo"


class Command(BaseCommand):
    help = (
        "Create the demo's workspace, accounts (password from RI_DEMO_PASSWORD) and base image, "
        "each only if it is missing. Prints how it is with the base image."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "Demo accounts are for `make run`, which sets RI_DEMO, and nothing else."
            )
        password = os.environ.get("RI_DEMO_PASSWORD", "")
        if not password:
            raise CommandError("Set RI_DEMO_PASSWORD to the password of the demo's accounts.")
        with transaction.atomic():
            self.seed_people(password)
        self.stdout.write(self.seed_base_image())

    def seed_people(self, password: str) -> None:
        workspace, _ = Workspace.objects.get_or_create(
            name=WORKSPACE, defaults={"description": "A place to try things out."}
        )
        for username, role, workspace_role in PEOPLE:
            administrator = role == InstanceRole.ORGANIZATION_ADMINISTRATOR
            user, created = User.objects.get_or_create(
                username=username,
                defaults={
                    "role": role,
                    "is_staff": administrator,
                    "is_superuser": administrator,
                },
            )
            if created:
                user.set_password(password)
                user.save(update_fields=["password"])
                Membership.objects.create(workspace=workspace, user=user, role=workspace_role)

    def seed_base_image(self) -> str:
        """How it is with the demo's base image; one that failed before is tried again."""
        there = BaseImage.objects.filter(image_type=ImageType.ALL, python_version=PYTHON)
        if there.current().exists():
            return f"Python {PYTHON}, ready"
        if not there.exclude(state=WorkState.FAILED).exists():
            base_images.import_base_image(
                None,
                image_type=ImageType.ALL,
                python_version=PYTHON,
                platform_version=PLATFORM_VERSION,
                source=catalogue().source(ImageType.ALL, PYTHON),
            )
        return f"Python {PYTHON}, being prepared, which takes a minute; a line here tells when it is ready"
