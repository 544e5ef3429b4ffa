"""This machine's report of what it can build."""

from __future__ import annotations

import shutil
import socket

from django.conf import settings

from images.building.containers import container
from images.models import BuildHost
from images.models.lane import Lane
from ri_platform.metrics import CACHE_FREE_BYTES


def report(lane: Lane) -> None:
    """Record the abilities of this machine's worker of a lane; the other lane's worker reports for itself."""
    sources = lane == Lane.SOURCES
    BuildHost.objects.update_or_create(
        name=socket.gethostname(),
        queue=lane.value,
        defaults={
            "os_packages_problem": container.problem(),
            "source_builds_problem": container.confinement_problem() if sources else "",
        },
    )


def watch_disk() -> None:
    """Have this process's metrics tell how much room there is where it works."""
    settings.CACHE_DIR.mkdir(parents=True, exist_ok=True)
    CACHE_FREE_BYTES.labels(str(settings.CACHE_DIR)).set_function(
        lambda: float(shutil.disk_usage(settings.CACHE_DIR).free)
    )
