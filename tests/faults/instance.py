"""An instance on this machine: PostgreSQL, a local AWS and an index, each behind a proxy, and the processes.

What ends is started again at once, as a supervisor does it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psycopg

from images.registry.ecr import local_iam
from images.registry.naming import DEFAULT_PREFIX
from ri_platform import processes
from ri_platform.local import services
from ri_platform.local.child import Child
from ri_platform.local.restarts import StartFailed
from tests.faults.proxy import FaultProxy
from tests.faults.shelf import shelf
from tests.images.building.bases.layouts import ROOT, image_of
from tests.local_aws import LocalAWS

HOME = Path(__file__).resolve().parents[2]
LIBRARIES = 24
USERS = 4
START_SECONDS = 240.0
# A busy machine of two cores builds a dozen images in this, and repeats what AWS refused.
SETTLE_SECONDS = 300.0
# What one side of the instance believes of work that is under way.
ACTIVE = """
SELECT 'build ' || i.name || ' ' || b.state || ' ' || b.phase
  FROM images_build b JOIN images_managedimage i ON i.id = b.image_id WHERE b.state IN ('queued', 'running')
UNION ALL SELECT 'alteration ' || id FROM images_alteration WHERE state IN ('queued', 'running')
UNION ALL SELECT 'import ' || id FROM images_baseimage WHERE state IN ('queued', 'running')
UNION ALL SELECT 'removal ' || name FROM images_managedimage
  WHERE removed_at IS NOT NULL AND (deletion_due_at <= now() OR deletion_began_at IS NOT NULL)
UNION ALL SELECT 'tag ' || t.name || ' of ' || i.name
  FROM images_movingtag t JOIN images_managedimage i ON i.id = t.image_id
  WHERE t.pushed_build_id IS DISTINCT FROM t.build_id AND i.removed_at IS NULL
"""
SETUP = """
import json
from workspaces.access import Actor
from workspaces.models import User
from workspaces.models import InstanceRole, Membership, User, Workspace, WorkspaceRole
from workspaces.operations import tokens
workspace = Workspace.objects.create(name="Faults")
made = {}
for name in [*(f"user-{number}" for number in range(%d)), "admin"]:
    role = InstanceRole.ORGANIZATION_ADMINISTRATOR if name == "admin" else InstanceRole.BASIC
    user = User.objects.create(username=name, role=role)
    Membership.objects.create(workspace=workspace, user=user, role=WorkspaceRole.ADMINISTRATOR)
    made[name] = tokens.create_token(Actor(user), workspace, "faults").secret
print(json.dumps(made))
"""


@dataclass
class Instance:
    """The running parts, and what is asked of them."""

    folder: Path
    chance: random.Random
    postgres: services.Postgres
    aws: LocalAWS
    aws_proxy: FaultProxy
    index_proxy: FaultProxy
    environment: dict[str, str]
    web: str
    children: dict[str, Child] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    # Whoever is not to be started again for now.
    held_down: set[str] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)
    _unknown: Iterator[int] = field(default_factory=lambda: itertools.count(LIBRARIES))

    # --- its parts ---------------------------------------------------------------------------------------

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        log = (self.folder / f"{name}.log").open("a", buffering=1)
        self.children[name] = child = Child(
            name, command, environment, lambda child, line: print(line, file=log)
        )
        return child

    def keep_up(self) -> None:
        """In a thread: start again what ends."""
        while not self._ended.wait(0.2):
            for name, child in list(self.children.items()):
                if (
                    name not in self.held_down
                    and child.end() is not None
                    and not self._ended.is_set()
                ):
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
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.children[name].process.pid, signal.SIGKILL)

    def signal(self, name: str, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.children[name].process.pid, number)

    @property
    def postmaster(self) -> int:
        return int((self.folder / "postgres/postmaster.pid").read_text().split("\n", 1)[0])

    def manage(self, *arguments: str, module: tuple[str, ...] = ("manage.py",)) -> str:
        done = subprocess.run(
            [sys.executable, *module, *arguments],
            cwd=HOME, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    # --- requests ----------------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = "user-0",
        patient: bool = True,
    ) -> httpx.Response:
        """A request of a user. `patient` users repeat what was not answered, or answered with 5xx."""
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.request(
                    method, f"{self.web}{path}", json=body, timeout=60, trust_env=False,
                    headers={"rime-api-key": self.tokens[user]},
                )  # fmt: skip
                if answer.status_code < 500 or not patient:
                    return answer
            assert patient, f"{method} {path} failed"
            assert time.monotonic() < deadline, f"{method} {path} was not answered"
            time.sleep(0.3)

    def create(self, name: str, libraries: int = 3, *, user: str = "") -> None:
        """Ask for an image until it is accepted; a request whose answer was lost is found made."""
        # One that no layer is known of, so that no phase is left out.
        some = [next(self._unknown), *self.chance.sample(range(LIBRARIES), libraries - 1)]
        wanted = [{"name": f"lib{number}", "versionSpecifier": "==1.0"} for number in some]
        answer = self.ask(
            "POST",
            "/v1/images",
            {"name": name, "pipRequirements": wanted},
            user=user or f"user-{self.chance.randrange(USERS)}",
        )
        assert answer.status_code in (200, 409), answer.text

    def image(self, name: str) -> dict[str, Any] | None:
        answer = self.ask("GET", f"/v1/images/{name}")
        image: dict[str, Any] | None = answer.json().get("image")
        return image

    # --- what it knows -----------------------------------------------------------------------------------

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of its database; it may be restarting."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as link:
                    cursor = link.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL stays away"
                time.sleep(0.2)

    def phase_of(self, name: str) -> str:
        found = self.rows(
            "SELECT b.phase FROM images_build b JOIN images_managedimage i ON i.id = b.image_id "
            "WHERE i.name = %s AND b.state = 'running'",
            name,
        )
        return found[0][0] if found else ""

    def holder_of(self, name: str) -> str:
        """The worker that builds an image, by its log."""
        for worker in ("builds-1", "builds-2"):
            text = (self.folder / f"{worker}.log").read_text()
            if f" of {name} begins" in text:
                return worker
        return ""

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until every accepted request has its end."""
        deadline = time.monotonic() + seconds
        while active := [row[0] for row in self.rows(ACTIVE)]:
            assert time.monotonic() < deadline, f"Not ended after {seconds:.0f} s: {active}"
            time.sleep(0.2)

    def findings(self) -> list[dict[str, str]]:
        """What the verifier finds."""
        kept = self.environment
        self.environment = {
            **kept,
            "RI_FAULTS_AWS": self.aws.url,
            "RI_FAULTS_KEYS": json.dumps(self.aws.keys),
        }
        try:
            lines = self.manage(module=("-m", "tests.faults.verifying")).splitlines()
        finally:
            self.environment = kept
        return [json.loads(line) for line in lines]

    @cached_property
    def foreign(self) -> Any:
        """What stands outside the prefix, as the registry describes it: it must never change."""
        return self.outside()

    def outside(self) -> Any:
        found = self.aws.root.describe_repositories(maxResults=1000)["repositories"]
        return sorted(
            (item["repositoryName"], str(item["createdAt"]))
            for item in found
            if not item["repositoryName"].startswith(f"{DEFAULT_PREFIX}/")
        )


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"Not in {seconds:.0f} s: {what}"
        time.sleep(0.05)


@contextmanager
def running_instance(folder: Path, chance: random.Random, broker: str = "") -> Iterator[Instance]:
    """Start all of it, with one base image and `USERS` users, and end all of it."""
    folder.chmod(0o755)
    with ExitStack() as stack:
        postgres = services.start_postgres(folder / "postgres")
        stack.callback(postgres.stop)
        postgres.ensure_database("faults")
        # A machine's crash is no scenario here, and a server that ends by itself loses nothing without this.
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as link:
            link.execute("ALTER SYSTEM SET fsync = off")
            link.execute("SELECT pg_reload_conf()")
        port, aws_port = services.free_port(), services.free_port()
        aws_environment = services.aws_environment(folder / "aws", aws_port)
        (folder / "aws").mkdir()
        index = stack.enter_context(shelf(folder))
        aws_proxy = FaultProxy(aws_port, chance)
        index_proxy = FaultProxy(index, chance)
        for proxy in (aws_proxy, index_proxy):
            threading.Thread(target=proxy.server.serve_forever, daemon=True).start()
            stack.callback(proxy.server.shutdown)
        environment = environment_of(folder, postgres, aws_proxy, index_proxy, broker)
        aws_url = f"http://127.0.0.1:{aws_port}"
        instance = Instance(
            folder, chance, postgres, LocalAWS(aws_url, {}), aws_proxy, index_proxy, environment,
            f"http://127.0.0.1:{port}",
        )  # fmt: skip
        stack.callback(instance.stop)
        instance.start("aws", services.aws_command(), aws_environment)
        instance.manage("migrate", "--verbosity", "0")
        assert services.wait_until_answers(services.aws_health(aws_port), START_SECONDS)
        instance.aws.keys.update(local_iam.bootstrap(aws_url, services.REGION, DEFAULT_PREFIX, {}))
        instance.aws.root.create_repository(repositoryName="somebody/elses")
        assert instance.foreign
        instance.tokens.update(json.loads(instance.manage("shell", "-v", "0", "-c", SETUP % USERS)))
        start_processes(instance, port)
        threading.Thread(target=instance.keep_up, daemon=True).start()
        layout = image_of(folder / "layout", ROOT)
        layout.chmod(0o755)
        instance.manage(
            "import_base_image", "--layout", str(layout), "--python-version", "3.11",
            "--platform-version", "1", "--image-type", "all",
        )  # fmt: skip
        assert services.wait_until_answers(f"{instance.web}/readyz", START_SECONDS)
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
        "RI_LOG_FORMAT": "text",
        "RI_MAX_RUNNING_BUILDS": "4",
    }


def start_processes(instance: Instance, port: int) -> None:
    (instance.folder / "static").mkdir(exist_ok=True)
    for name in ("registry", "builds-1", "builds-2"):
        queue = name.partition("-")[0]
        keys = instance.aws.keys[processes.IDENTITIES[queue]]
        instance.start(name, processes.worker(queue, name), {**instance.environment, **keys})
    instance.start("scheduler", processes.scheduler(instance.folder), instance.environment)
    instance.start("web", processes.web(port), instance.environment)
