"""A RabbitMQ of the test run's own, for as long as it takes: no broker that is here already is touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kombu import Connection

from ri_platform.local import services

# Where Debian has the program itself; the one on the PATH there insists on the folders of the system.
PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server",)
START_SECONDS = 180.0


def is_here() -> bool:
    """Whether `rabbitmq` has something to offer on this machine."""
    own = any(Path(place).exists() for place in PLACES) and shutil.which("epmd")
    return bool(os.environ.get("RI_TEST_RABBITMQ_URL") or own)


@contextmanager
def rabbitmq() -> Iterator[str]:
    """The address of a broker: of `RI_TEST_RABBITMQ_URL`, or of one started here, where `is_here()`."""
    named = os.environ.get("RI_TEST_RABBITMQ_URL")
    if named:
        yield named
        return
    server = next(place for place in PLACES if Path(place).exists())
    folder = Path(tempfile.mkdtemp(prefix="ri-rabbitmq-"))
    names, port, between = (services.free_port() for _ in range(3))
    (folder / "plugins").write_text("[].\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": f"ri-test-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(between),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
    }
    started: list[subprocess.Popen[bytes]] = []
    try:
        # Erlang would start its register of names by itself, and leave it behind.
        for command in (["epmd", "-port", str(names)], [server]):
            started.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        address = f"amqp://guest:guest@127.0.0.1:{port}//"
        with Connection(address) as connection:
            connection.ensure_connection(
                max_retries=int(START_SECONDS), interval_start=1, interval_step=0
            )
        yield address
    finally:
        for process in reversed(started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
