"""What is asked of an installation by its users, what its database says, and what the verifier finds."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psycopg

from images.registry.distribution.client import RegistryClient
from images.registry.distribution.transport import Credentials
from images.registry.naming import DEFAULT_PREFIX
from ri_platform.local import services
from tests import migrated
from tests.faults.logs import DATABASE_AWAY, WORKER_KILLED, Logs
from tests.faults.receiver import Receiver
from tests.faults.verifying import Verifier
from tests.images.building.bases.layouts import ROOT, image_of
from tests.local_aws import LocalAWS

HOME = Path(__file__).resolve().parents[2]
LIBRARIES = 24
USERS = 4
# What starts may have to wait long for its turn on a busy machine.
START_SECONDS = 900.0
# A busy machine of two cores builds a dozen images in this, and repeats what AWS refused.
SETTLE_SECONDS = 600.0
# What one side of the instance believes of work that is under way.
ACTIVE = """
SELECT 'build ' || i.name || ' ' || b.state || ' ' || b.phase
  FROM images_build b JOIN images_managedimage i ON i.id = b.image_id WHERE b.state IN ('queued', 'running')
UNION ALL SELECT 'alteration ' || id FROM images_alteration WHERE state IN ('queued', 'running')
UNION ALL SELECT 'import ' || id FROM images_baseimage WHERE state IN ('queued', 'running')
UNION ALL SELECT 'removal ' || name FROM images_managedimage
  WHERE removed_at IS NOT NULL AND (deletion_due_at <= now() OR deletion_began_at IS NOT NULL)
UNION ALL SELECT 'upgrade of ' || name FROM images_managedimage
  WHERE removed_at IS NULL AND status = 'OUTDATED'
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
    user = User.objects.create(username=f"faults-{name}", role=role)
    Membership.objects.create(workspace=workspace, user=user, role=WorkspaceRole.ADMINISTRATOR)
    made[name] = tokens.create_token(Actor(user), workspace, "faults").secret
print(json.dumps(made))
"""


@dataclass
class Installation:
    """A running platform, by where it is and who uses it."""

    folder: Path
    chance: random.Random
    aws: LocalAWS
    environment: dict[str, str]
    web: str
    tokens: dict[str, str] = field(default_factory=dict)
    # What its logs may tell of.
    tolerated: tuple[str, ...] = (*DATABASE_AWAY, *WORKER_KILLED)
    receiver: Receiver = field(default_factory=Receiver)
    _delivered: int = 0
    _told: list[dict[str, str]] = field(default_factory=list)
    _unknown: Iterator[int] = field(default_factory=lambda: itertools.count(LIBRARIES))

    def await_parts(self) -> None:
        """Wait until all of it is there, for the next run."""
        assert services.wait_until_answers(f"{self.web}/readyz", START_SECONDS)

    def recover(self) -> None:
        """End every fault that is still going on."""
        self.receiver.recover()

    def prepare(self) -> None:
        """Make users, a repository of somebody else, and one base image."""
        put_elses_image(self.aws, "somebody/elses", self.folder / "elses")
        assert all(self.foreign.values())
        self.tokens.update(json.loads(self.manage("shell", "-v", "0", "-c", SETUP % USERS)))
        hook = self.ask("POST", "/v1/webhooks", {"url": self.receiver.address}, user="admin")
        self.receiver.secret = hook.json()["secret"]
        layout = image_of(self.folder / "layout", ROOT)
        layout.chmod(0o755)
        self.import_base("1")

    def import_base(self, version: str, *options: str) -> None:
        self.manage(
            "import_base_image", "--layout", str(self.folder / "layout"), "--python-version", "3.11",
            "--platform-version", version, "--image-type", "all", *options,
        )  # fmt: skip

    def import_debian(self) -> None:
        """Import a base image with a real Python in place of the one that only looks like it."""
        self.manage(
            "import_base_image", "--suite", "bookworm", "--python-version", "3.11",
            "--platform-version", "debian", "--image-type", "all",
        )  # fmt: skip

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
        """A request of a user. `patient` users repeat what was not answered, or answered with 503, as long as
        PostgreSQL is away; any other 5xx is a defect.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.request(
                    method, f"{self.web}{path}", json=body, timeout=60, trust_env=False,
                    headers={"rime-api-key": self.tokens[user]},
                )  # fmt: skip
                told = f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}"
                assert answer.status_code < 500 or (patient and answer.status_code == 503), told
                if answer.status_code != 503:
                    return answer
            assert patient, f"{method} {path} was not answered"
            assert time.monotonic() < deadline, f"{method} {path} was not answered"
            time.sleep(0.3)

    def some_libraries(self, count: int = 3, *, new: int = 1) -> list[str]:
        """Some of the index. Of the first `new` no layer is known, so that no phase is left out."""
        some = [next(self._unknown) for _ in range(new)]
        some += self.chance.sample(range(LIBRARIES), count - new)
        return [f"lib{number}" for number in some]

    def new_library(self, kind: str) -> str:
        """One of the index that nobody has asked for yet, of a kind that it has (`tests.faults.shelf`)."""
        return f"{kind}{next(self._unknown)}"

    def image(self, name: str) -> dict[str, Any] | None:
        """The image as REST shows it; None if it is not shown."""
        answer = self.ask("GET", f"/v1/images/{name}")
        assert answer.status_code in (200, 404), answer.text
        image: dict[str, Any] | None = answer.json().get("image")
        return image

    def removed(self) -> set[str]:
        """The images that can be restored."""
        answer = self.ask("GET", "/v1/images:removed?pageSize=1000", user="admin")
        assert answer.status_code == 200, answer.text
        return {item["name"] for item in answer.json()["images"] if item["restorable"]}

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

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until every accepted request has its end."""
        deadline = time.monotonic() + seconds
        while active := [row[0] for row in self.rows(ACTIVE)]:
            assert time.monotonic() < deadline, f"Not ended after {seconds:.0f} s: {active}"
            time.sleep(0.2)

    def await_attestations(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until no SBOM is still to be written, for which nobody else waits.

        That of an image that was removed waits until it is restored.
        """
        some = (
            "SELECT 1 FROM images_attestation a JOIN images_build b ON b.id = a.build_id "
            "JOIN images_managedimage i ON i.id = b.image_id "
            "WHERE a.state IN ('queued', 'running') AND i.removed_at IS NULL"
        )
        wait_for(lambda: not self.rows(some), seconds, "all attestations are written")

    def await_deliveries(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until every message to the webhook has arrived or was given up."""
        some = "SELECT 1 FROM images_delivery WHERE state IN ('queued', 'running')"
        wait_for(lambda: not self.rows(some), seconds, "all webhook messages are delivered")

    def new_losses(self) -> list[str]:
        """Messages that were given up, or are said to be delivered and never came, since the last look."""
        found = self.rows(
            "SELECT id, state, event FROM images_delivery WHERE id > %s ORDER BY id",
            self._delivered,
        )
        self._delivered = max([self._delivered, *(row[0] for row in found)])
        return [
            f"message {number} of {event} did not arrive; it is {state}"
            for number, state, event in found
            if state != "succeeded" or f"msg_{number}" not in self.receiver.messages
        ]

    @cached_property
    def verifier(self) -> Verifier:
        return Verifier(self.environment, self.aws)

    def new_findings(self) -> list[dict[str, str]]:
        """What the verifier finds that no run before has left."""
        found = [item for item in self.verifier.findings() if item not in self._told]
        self._told += found
        return found

    def end_verifier(self) -> None:
        if "verifier" in vars(self):
            self.verifier.end()
            del self.verifier

    @cached_property
    def logs(self) -> Logs:
        return Logs(self.log_files())

    def log_files(self) -> list[Path]:
        """The logs of its web process, workers and scheduler."""
        raise NotImplementedError

    @cached_property
    def foreign(self) -> Any:
        """What stands outside the prefix, as the registry describes it: it must never change."""
        return self.outside()

    def outside(self) -> Any:
        """The repositories outside the prefix, each with its images, their tags and when they came."""
        found = self.aws.root.describe_repositories(maxResults=1000)["repositories"]
        names = [item["repositoryName"] for item in found]
        return {
            name: sorted(
                (item["imageDigest"], sorted(item.get("imageTags", ())), str(item["imagePushedAt"]))
                for item in self.aws.root.describe_images(repositoryName=name)["imageDetails"]
            )
            for name in names
            if not name.startswith(f"{DEFAULT_PREFIX}/")
        }


def put_elses_image(aws: LocalAWS, repository: str, folder: Path) -> None:
    """Make a repository outside the prefix with an image of two tags, as somebody else would."""
    aws.root.create_repository(repositoryName=repository)
    given = aws.root.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(given).decode().partition(":")
    layout = image_of(folder, {"theirs": b"not ours"})
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = blob_of(layout, entry["digest"]).read_bytes()
    parts = json.loads(manifest)
    with RegistryClient(
        aws.url, credentials=lambda refused=None: Credentials(user, password), guard=str
    ) as client:
        for part in (parts["config"], *parts["layers"]):
            file = blob_of(layout, part["digest"])
            client.upload_blob(repository, part["digest"], part["size"], file, check=lambda: None)
        for tag in ("theirs", "build-1"):
            client.put_manifest(repository, tag, manifest, entry["mediaType"])


def blob_of(layout: Path, digest: str) -> Path:
    return layout / "blobs/sha256" / digest.removeprefix("sha256:")


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"Not in {seconds:.0f} s: {what}"
        time.sleep(0.05)


def create_database(postgres: services.Postgres, name: str) -> None:
    """Create a database, with its tables if tests have kept them: `migrate` takes most of a start."""
    template = migrated.load(postgres.socket_dir)
    if not template:
        postgres.ensure_database(name)
        return
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as link:
        link.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
