"""Workers and the scheduler as processes, on the test's own database."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings as django_settings
from django.db import connection

from ri_platform import processes
from ri_platform.local import services
from tests import factories
from tests.local_aws import LocalAWS


class Start(Protocol):
    """Starts a worker, or the scheduler, by its name; `inside` comes before the command, to enter a host."""

    def __call__(self, name: str, inside: Sequence[str] = ()) -> subprocess.Popen[bytes]: ...


@contextmanager
def workers(aws: LocalAWS, tmp_path: Path, broker: str, **variables: str) -> Iterator[Start]:
    """What starts them; all end with the `with` block."""
    database = connection.settings_dict
    factories.make_instance()
    started: list[subprocess.Popen[bytes]] = []
    address = services.database_url(str(database["HOST"]), str(database["NAME"]))
    common = {
        **services.remove_aws_identity(dict(os.environ)),
        "DATABASE_URL": address,
        "CELERY_BROKER_URL": broker or address.replace("postgres", "pgmq", 1),
        "RI_AWS_ENDPOINT_URL": aws.url,
        "RI_REGISTRY_URL": aws.url,
        "RI_CACHE_DIR": str(django_settings.CACHE_DIR),
        "RI_SWEEP_SECONDS": "1",
        **variables,
    }

    def start(name: str, inside: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        identity = processes.IDENTITIES.get(name)
        command = processes.worker(name) if identity else processes.scheduler(tmp_path)
        # Kept with the test's folder: a failure is told by what the processes said.
        with (tmp_path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*inside, *command],
                env={**common, **(aws.keys[identity] if identity else {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def until(condition: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)
