"""A PostgreSQL of the benchmark's own, with the settings pointing to it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.instance import ROOT
from ri_platform.local import services


@contextmanager
def own_database(**variables: str) -> Iterator[Path]:
    """Its state folder, until the block ends; set Django up inside. `variables` go into the environment."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder:
        (Path(folder) / "static").mkdir()
        postgres = services.start_postgres(Path(folder) / "postgres")
        try:
            os.environ.update(
                DATABASE_URL=postgres.url("postgres"),
                CELERY_BROKER_URL="memory://",
                DJANGO_SETTINGS_MODULE="ri_platform.settings",
                RI_STATE_DIR=folder,
                # A line for each request would be measured too, and hide the figures.
                RI_LOG_LEVEL="WARNING",
                **variables,
            )
            yield Path(folder)
        finally:
            postgres.stop()
