"""This machine's report of what it can build."""

from __future__ import annotations

import socket

from images.building import container
from images.models import BuildHost


def report() -> None:
    BuildHost.objects.update_or_create(
        name=socket.gethostname(),
        defaults={
            "os_packages_problem": container.problem(),
            "source_builds_problem": container.confinement_problem(),
        },
    )
