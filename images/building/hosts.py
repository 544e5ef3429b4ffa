"""This machine's report of what it can build."""

from __future__ import annotations

import socket

from images.building import os_packages
from images.models import BuildHost


def report() -> None:
    BuildHost.objects.update_or_create(
        name=socket.gethostname(), defaults={"os_packages_problem": os_packages.problem()}
    )
