"""A RabbitMQ of the test run's own, for as long as it takes: no broker that is here already is touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kombu import Connection

from ri_platform.local import services

# Where Debian has the program itself; the one on the PATH there insists on the folders of the system.
PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server",)
# A busy machine takes minutes.
START_SECONDS = 240.0


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
    with own_rabbitmq() as address:
        yield address


@contextmanager
def own_rabbitmq(host: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[str]:
    """The address of a broker of our own; `inside` is the front of a command that enters its host."""
    server = next(place for place in PLACES if Path(place).exists())
    folder = Path(tempfile.mkdtemp(prefix="ri-rabbitmq-"))
    names, port, between = (services.free_port() for _ in range(3))
    (folder / "plugins").write_text("[].\n")
    # The guest may come from other hosts, too.
    (folder / "settings.conf").write_text("loopback_users = none\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": f"ri-test-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": host,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(between),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "settings.conf"),
    }
    started: list[subprocess.Popen[bytes]] = []
    try:
        # Erlang would start its register of names by itself, and leave it behind.
        for command in (["epmd", "-port", str(names)], [server]):
            started.append(
                subprocess.Popen(
                    [*inside, *command],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        address = f"amqp://guest:guest@{host}:{port}//"
        if inside:
            # From elsewhere it may be out of reach.
            subprocess.run([*inside, sys.executable, "-m", "tests.rabbitmq", address], check=True)
        else:
            await_answer(address)
        yield address
    finally:
        for process in reversed(started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def await_answer(address: str) -> None:
    with Connection(address) as connection:
        connection.ensure_connection(
            max_retries=int(START_SECONDS), interval_start=1, interval_step=0
        )


if __name__ == "__main__":
    await_answer(sys.argv[1])
