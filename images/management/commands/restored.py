"""`manage.py restored`: prepare a database that was restored from a backup, before the workers start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from images.jobs.restored import prepare_restored


class Command(BaseCommand):
    help = (
        "Prepare a database that was restored from a backup, before workers and scheduler start: removed "
        "images get their grace time anew, repositories of no record are not deleted or adopted until "
        "somebody decides it again, moving tags are pushed again, and a verification begins. Doing it again "
        "only extends the grace time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        again = prepare_restored()
        self.stdout.write(
            f"No repository of a removed image is deleted before {again:%Y-%m-%d %H:%M %Z}. Start the "
            "workers; `manage verify` tells what the registry has and the backup has not."
        )
