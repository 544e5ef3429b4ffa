"""An instance on this machine: PostgreSQL, a local AWS and an index, each behind a proxy, and the processes.

What ends is started again at once, as a supervisor does it.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from images.registry.ecr import local_iam
from images.registry.naming import DEFAULT_PREFIX
from ri_platform import processes
from ri_platform.local import services
from ri_platform.local.child import Child
from ri_platform.local.restarts import StartFailed
from tests import migrated
from tests.faults.installation import START_SECONDS, Installation, create_database, wait_for
from tests.faults.proxy import FaultProxy
from tests.faults.shelf import shelf
from tests.local_aws import LocalAWS

WORKERS = ("registry", "builds-1", "builds-2", "sources", "webhooks")
# What a worker says once it takes messages.
READY = re.compile(r"@\S+ ready\.")


@dataclass(kw_only=True)
class Instance(Installation):
    """Its running parts."""

    postgres: services.Postgres
    aws_proxy: FaultProxy
    index_proxy: FaultProxy
    workers: tuple[str, ...] = WORKERS
    children: dict[str, Child] = field(default_factory=dict)
    # Whoever is not to be started again for now.
    held_down: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        log = (self.folder / f"{name}.log").open("a", buffering=1)

        def hear(child: Child, line: str) -> None:
            print(line, file=log)
            if READY.search(line):
                self.ready.add(name)

        self.children[name] = child = Child(name, command, environment, hear)
        return child

    def log_files(self) -> list[Path]:
        return [self.folder / f"{name}.log" for name in (*self.workers, "scheduler", "web")]

    def await_parts(self) -> None:
        """Wait until whatever a run before has killed is there again."""
        wait_for(
            lambda: self.ready.issuperset(self.workers), START_SECONDS, "the workers are ready"
        )
        assert services.wait_until_answers(f"{self.web}/readyz", START_SECONDS)

    def process_ids(self) -> dict[str, int]:
        """Which process each part is now."""
        return {name: child.process.pid for name, child in self.children.items()}

    def keep_up(self) -> None:
        """In a thread: start again what ends."""
        while not self._ended.wait(0.2):
            for name, child in list(self.children.items()):
                if (
                    name not in self.held_down
                    and child.end() is not None
                    and not self._ended.is_set()
                ):
                    self.ready.discard(name)
                    child.start_again()
            if "postgres" not in self.held_down and self.postgres.end() is not None:
                with contextlib.suppress(StartFailed):
                    self.postgres.start_again()

    def stop(self) -> None:
        self._ended.set()
        for child in self.children.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()

    def kill(self, name: str) -> None:
        """`kill -9` of one part, with what it started."""
        if name == "postgres":
            os.kill(self.postmaster, signal.SIGKILL)
            return
        self.signal(name, signal.SIGKILL)

    def signal(self, name: str, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.children[name].process.pid, number)

    def recover(self) -> None:
        super().recover()
        self.aws_proxy.recover()
        self.index_proxy.recover()
        self.held_down.clear()

    @property
    def postmaster(self) -> int:
        return int((self.folder / "postgres/postmaster.pid").read_text().split("\n", 1)[0])

    def holder_of(self, name: str) -> str:
        """The worker that builds an image, by its log."""
        for worker in self.workers:
            text = (self.folder / f"{worker}.log").read_text()
            if f" of {name} begins" in text:
                return worker
        return ""


@contextmanager
def running_instance(
    folder: Path,
    chance: random.Random,
    broker: str = "",
    workers: tuple[str, ...] = WORKERS,
) -> Iterator[Instance]:
    """Start all of it, with one base image and `USERS` users, and end all of it."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        postgres = services.start_postgres(folder / "postgres")
        stack.callback(postgres.stop)
        create_database(postgres, "faults")
        # A machine's crash is no scenario here, and a server that ends by itself loses nothing without this.
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as link:
            link.execute("ALTER SYSTEM SET fsync = off")
            link.execute("SELECT pg_reload_conf()")
        port, aws_port = services.free_port(), services.free_port()
        aws_environment = services.aws_environment(folder / "aws", aws_port)
        (folder / "aws").mkdir()
        index = stack.enter_context(shelf(folder))
        aws_proxy = stack.enter_context(FaultProxy(aws_port, chance).serving())
        index_proxy = stack.enter_context(FaultProxy(index, chance).serving())
        instance = Instance(
            folder=folder,
            chance=chance,
            aws=LocalAWS(f"http://127.0.0.1:{aws_port}", {}),
            environment=environment_of(folder, postgres, aws_proxy, index_proxy, broker),
            web=f"http://127.0.0.1:{port}",
            postgres=postgres,
            aws_proxy=aws_proxy,
            index_proxy=index_proxy,
            workers=workers,
        )
        stack.enter_context(instance.receiver.serving())
        stack.callback(instance.stop)
        instance.start("aws", services.aws_command(), aws_environment)
        instance.manage("migrate", "--verbosity", "0")
        if not migrated.file().exists():
            migrated.save(postgres.socket_dir, "faults")
        assert services.wait_until_answers(services.aws_health(aws_port), START_SECONDS)
        keys = local_iam.bootstrap(instance.aws.url, services.REGION, DEFAULT_PREFIX, {})
        instance.aws.keys.update(keys)
        start_processes(instance, port)
        threading.Thread(target=instance.keep_up, daemon=True).start()
        stack.callback(instance.end_verifier)
        instance.prepare()
        yield instance


def environment_of(
    folder: Path,
    postgres: services.Postgres,
    aws: FaultProxy,
    index: FaultProxy,
    broker: str,
) -> dict[str, str]:
    ours = ("RI_", "AWS_", "DATABASE_", "CELERY_", "PORT", "UV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **services.remove_aws_identity(kept),
        "DATABASE_URL": postgres.url("faults"),
        "CELERY_BROKER_URL": broker or postgres.url("faults", "pgmq"),
        "DJANGO_SETTINGS_MODULE": "ri_platform.settings",
        "UV_CACHE_DIR": str(folder / "uv"),
        "RI_STATE_DIR": str(folder),
        "RI_CACHE_DIR": str(folder / "cache"),
        "RI_SECRET_KEY": "x" * 60,
        "RI_AWS_ENDPOINT_URL": aws.address,
        "RI_REGISTRY_URL": aws.address,
        "RI_PACKAGE_INDEX_URL": f"{index.address}/simple",
        "RI_IMPORT_CHECK": "off",
        "RI_WEBHOOKS_ALLOW_PRIVATE": "true",
        "RI_LOG_FORMAT": "text",
        "RI_MAX_RUNNING_BUILDS": "4",
        # What hangs is given up soon; the lease and the sweep are those of every installation.
        "RI_CALL_SECONDS": "10",
    }


def start_processes(instance: Instance, port: int) -> None:
    (instance.folder / "static").mkdir(exist_ok=True)
    for name in instance.workers:
        queue = name.partition("-")[0]
        # The webhooks worker has no identity.
        keys = instance.aws.keys.get(processes.IDENTITIES.get(queue, ""), {})
        instance.start(name, processes.worker(queue, name), {**instance.environment, **keys})
    instance.start("scheduler", processes.scheduler(instance.folder), instance.environment)
    instance.start("web", processes.web(port), instance.environment)
