"""How long a killed worker's build waits, by broker: `pytest -q -s tests/crashes.py`. No part of the suite.

Settings as in production: a lease of 8 seconds, a sweep every 2. A second builds worker stands idle.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from django.utils import timezone

from images.models import BaseImage, Build, BuildHost, ManagedImage
from images.models.lease import WorkState
from tests.builds import ask
from tests.cast import Cast
from tests.faults.proxy import held_uploads
from tests.local_aws import LocalAWS
from tests.workers import until, workers

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("attempt", range(2))
def test_time_to_take_over(
    cast: Cast, debian: BaseImage, registry: LocalAWS, broker: str, tmp_path: Path, attempt: int
) -> None:
    with held_uploads(registry, f"crash-{attempt}") as proxy:
        variables = {
            "RI_BUILD_LEASE_SECONDS": "8", "RI_SWEEP_SECONDS": "2",
            "RI_CACHE_DIR": str(tmp_path / "cache"), "RI_REGISTRY_URL": proxy.address,
        }  # fmt: skip
        with workers(registry, tmp_path, broker, **variables) as start:
            start("registry")
            start("scheduler")
            doomed = start("builds")
            image = ask(cast, f"crash-{attempt}", "numpy\npandas")
            ManagedImage.objects.update(repository_due_at=image.created_at)
            assert proxy.holds.wait(240)
            begun = timezone.now()
            start("builds")
            # A worker reports its host once it takes messages.
            until(lambda: BuildHost.objects.filter(seen_at__gt=begun).exists(), 240)
            os.killpg(doomed.pid, signal.SIGKILL)
            killed = time.monotonic()
            proxy.recover()
            until(lambda: Build.objects.filter(attempts=2).exists(), 240)
            taken = time.monotonic() - killed
            until(lambda: Build.objects.filter(state=WorkState.SUCCEEDED).exists(), 240)
            ready = time.monotonic() - killed
    name = "RabbitMQ, quorum queue" if broker else "pgmq"
    print(f"\n{name}: taken over after {taken:.1f} s, READY after {ready:.1f} s")
