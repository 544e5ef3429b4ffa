"""`manage.py bootstrap_local_aws`: the two IAM users of `make run`'s local AWS, and their keys."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from images.registry import naming
from images.registry.ecr import local_iam


class Command(BaseCommand):
    help = "Make the local AWS's two IAM users and print their keys as JSON. Part of `make run`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--keys", type=Path, required=True, help="where the keys are kept")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.AWS_ENDPOINT_URL:
            raise CommandError("RI_AWS_ENDPOINT_URL is not set: this is for the local AWS only.")
        path: Path = options["keys"]
        known = json.loads(path.read_text()) if path.exists() else {}
        keys = local_iam.bootstrap(
            settings.AWS_ENDPOINT_URL, settings.AWS_REGION, naming.effective_prefix(), known
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(keys, file)
        self.stdout.write(json.dumps(keys))
