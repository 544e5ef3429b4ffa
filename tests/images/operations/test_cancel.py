"""A cancelled build stops within two seconds, whatever it is doing."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from images.jobs import build as run
from images.jobs import repositories
from images.models import BaseImage, Build, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import builds
from tests.builds import ask
from tests.cast import Cast
from tests.faults.proxy import held_uploads
from tests.local_aws import LocalAWS
from tests.workers import until
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def cancelled_in(
    phase: str, cast: Cast, image: ManagedImage, registry: LocalAWS
) -> tuple[Build, float]:
    """Build in a thread, cancel when `phase` is reached: the build and the seconds it took to stop."""
    with registry.identity("registry-server"):
        repositories.prepare_repository(image.pk)
    build = image.builds.get()

    def work() -> None:
        try:
            run.run(build.pk)
        finally:
            connection.close()

    with registry.identity("build-jobs"):
        worker = threading.Thread(target=work)
        worker.start()
        # `phase` names the last that began, and several run at a time; what began stays in the timings.
        begun_phase = Build.objects.filter(pk=build.pk, timings__has_key=phase)
        until(begun_phase.exists, 60)
        time.sleep(0.3)
        builds.cancel_build(Actor(cast.member), image)
        begun = time.monotonic()
        worker.join()
    took = time.monotonic() - begun
    build.refresh_from_db()
    return build, took


def hanging_index(image: ManagedImage, settings: Any, silent: str) -> None:
    settings.PACKAGE_INDEX_URL = f"{silent}/simple"


def hanging_download(image: ManagedImage, settings: Any, silent: str) -> None:
    sha256 = hashlib.sha256(b"never").hexdigest()
    image.builds.update(
        lock=f'lock-version = "1.0"\n[[packages]]\nname = "never"\nversion = "1"\n'
        f'wheels = [{{ url = "{silent}/never-1-py3-none-any.whl", hashes = {{ sha256 = "{sha256}" }} }}]\n'
    )


def nothing_special(image: ManagedImage, settings: Any, silent: str) -> None:
    pass


@pytest.mark.parametrize(
    ("phase", "requirements", "prepare"),
    [
        ("resolve", "numpy", hanging_index),
        ("fetch", "never", hanging_download),
        ("layers", "numpy\npandas", nothing_special),
    ],
)
def test_a_cancelled_build_stops_within_two_seconds(
    phase: str,
    requirements: str,
    prepare: Callable[[ManagedImage, Any, str], None],
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    settings: Any,
    silent_server: str,
    tmp_path: Path,
) -> None:
    # With layers that another test left in the cache, the phase would be past before anybody looked.
    settings.CACHE_DIR = tmp_path / "cache"
    image = ask(cast, f"stop-{phase}", requirements)
    prepare(image, settings, silent_server)
    # No layer arrives, or a fast machine would be done before it is cancelled.
    with held_uploads(registry, image.name) as proxy:
        settings.REGISTRY_URL = proxy.address
        build, took = cancelled_in(phase, cast, image, registry)
    assert took < 2.0
    image.refresh_from_db()
    assert (build.state, image.status) == (WorkState.CANCELLED, Status.FAILED)
    # The worker has let go, so the repository may go too.
    assert build.lease_expires_at is None
    assert not list(django_settings.CACHE_DIR.glob("work-*"))
