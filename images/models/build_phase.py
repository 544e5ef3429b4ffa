"""The phases of a build."""

from __future__ import annotations

from django.db import models


class BuildPhase(models.TextChoices):
    """The steps of a build in their order."""

    RESOLVE = "resolve", "Resolve"
    SOURCES = "sources", "Build from source"
    OS_PACKAGES = "os_packages", "OS packages"
    FETCH = "fetch", "Fetch"
    LAYERS = "layers", "Layers"
    PUSH = "push", "Push"
    VERIFY = "verify", "Verify"
    IMPORTS = "imports", "Imports"
