"""An instance out of the container image: every service of compose.yaml, unprivileged, on a read-only root.

The image is built by deploy/Containerfile. What compose.yaml's database and broker are to an installation,
the test run's own are here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection
from psycopg import sql

from images.models import BaseImage
from ri_platform import processes
from ri_platform.local import services
from ri_platform.version import VERSION
from tests.deploy.compose import PLATFORM
from tests.deploy.container import POSTGRES_SOCKET, ROOT, Image, built
from tests.local_aws import LocalAWS, local_aws
from tests.needs import needs
from tests.rabbitmq import is_here, rabbitmq
from tests.rootfs import patched_debian
from tests.services import STATE

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.django_db(transaction=True),
    needs("platform image"),
]
METRICS_TOKEN = "a-token-that-nobody-guesses"
SETUP = """
from workspaces.models import User
from workspaces.access import Actor
from workspaces.operations.workspaces import EditWorkspace, create_workspace
create_workspace(Actor(User.objects.get(username="root")), EditWorkspace("Work", ""))
"""


@dataclass
class Instance:
    """The services of compose.yaml, one process each, in the image."""

    image: Image
    aws: LocalAWS
    folder: Path
    port: int = field(default_factory=services.free_port)
    metrics: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        identity = processes.IDENTITIES.get(name)
        self.metrics.setdefault(name, services.free_port())
        return self.image.environment(
            {
                **PLATFORM[name]["environment"],
                **(self.aws.keys[identity] if identity else {}),
                # What platform.env would say, for this machine.
                "PORT": str(self.port),
                "RI_METRICS_PORT": str(self.metrics[name]),
                "RI_AWS_ENDPOINT_URL": self.aws.url,
                "RI_REGISTRY_URL": self.aws.url,
                "RI_SOURCE_BUILDS": "false",
                "RI_BUILD_LEASE_SECONDS": "5",
                "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
            }
        )

    def command(self, *arguments: str) -> list[str]:
        return self.image.command(list(arguments), self.folder / "cache", self.folder / "secrets")

    def start(self, name: str) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        self.running[name] = subprocess.Popen(
            self.command(*PLATFORM[name]["command"]),
            env=self.environment(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip

    def run(self, name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`compose run` or `exec`: a command with the environment of a service."""
        return subprocess.run(
            self.command(*arguments),
            env={**self.environment(name), **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def stop(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


@pytest.fixture
def instance(debian: BaseImage, tmp_path: Path) -> Iterator[Instance]:
    """Migrated, and every service running, in an AWS account where no other instance was.

    Of `debian` it takes the root file system that was made for it.
    """
    database = connection.settings_dict
    address = services.database_url("/run/postgresql", "deployed")
    with psycopg.connect(
        host=str(database["HOST"]), user="postgres", dbname="postgres", autocommit=True
    ) as server:
        for statement in ("DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {}"):
            server.execute(sql.SQL(statement).format(sql.Identifier("deployed")))
    with (
        built(tmp_path / "buildah", STATE / "cache") as image,
        broker(address) as broker_url,
        local_aws(tmp_path / "aws") as account,
    ):
        socket = Path(str(database["HOST"]), Path(POSTGRES_SOCKET).name)
        # In the image the instance is another user than here.
        socket.chmod(0o666)
        image.mounts[socket] = POSTGRES_SOCKET
        # A cache volume belongs to the image's user, and secrets can be read.
        (tmp_path / "cache").mkdir()
        os.chown(tmp_path / "cache", image.user, image.user)
        (tmp_path / "secrets").mkdir()
        for name, value in {
            "secret_key": "k" * 64,
            "database_url": address,
            "broker_url": broker_url,
            "metrics_token": METRICS_TOKEN,
        }.items():
            (tmp_path / "secrets" / name).write_text(value)
        made = Instance(image, account, tmp_path)
        done = made.run("migrate", *PLATFORM["migrate"]["command"])
        assert done.returncode == 0, done.stderr
        try:
            for name in PLATFORM:
                if name != "migrate":
                    made.start(name)
            assert services.wait_until_answers(f"http://127.0.0.1:{made.port}/readyz", 120), (
                made.log("web")
            )
            yield made
        finally:
            made.stop()


class broker:  # noqa: N801  (reads as a phrase: `with broker(address)`)
    """RabbitMQ, as in compose.yaml, where there is one; else the database itself."""

    def __init__(self, address: str) -> None:
        self._rabbitmq = rabbitmq() if is_here() else None
        self._else = address.replace("postgres", "pgmq", 1)

    def __enter__(self) -> str:
        return self._rabbitmq.__enter__() if self._rabbitmq else self._else

    def __exit__(self, *exception: Any) -> None:
        if self._rabbitmq:
            self._rabbitmq.__exit__(*exception)


def test_an_instance_out_of_the_image_builds_without_root_and_writes_nowhere_but_its_volumes(
    instance: Instance, tmp_path: Path
) -> None:
    image = instance.image
    assert image.user != 0
    told = re.search(r"It adds about (\d+) MB to its base", (ROOT / "deploy/README.md").read_text())
    assert told
    assert abs(image.size - image.base_size - int(told[1])) < 30, "say so in deploy/README.md"
    assert_labelled(image)
    assert_confined(instance)
    assert_it_builds(instance)
    assert_it_can_be_watched(instance)
    doctor = instance.run("web", "doctor", "--seconds", "120")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "Nothing failed." in doctor.stdout
    assert "Web: AWS identity" in doctor.stdout
    written = list(Path(image.root, "app").rglob("*.pyc.*"))
    assert not written


def assert_labelled(image: Image) -> None:
    told = {name.rpartition(".")[2]: value for name, value in image.config["Labels"].items()}
    assert (told["title"], told["licenses"]) == ("RI Platform", "Apache-2.0")
    assert told["version"] == VERSION
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", told["revision"])
    assert datetime.fromisoformat(told["created"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told["description"] == project["description"]


def assert_confined(instance: Instance) -> None:
    """The running builds worker itself, as the kernel sees it."""
    assert instance.image.config["User"] == "10001:10001"
    (worker,) = processes_with(b"-Q\0builds", f"RI_METRICS_PORT={instance.metrics['builds']}")
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines()
        if ":\t" in line
    )  # fmt: skip
    assert status["Uid"].split() == ["10001"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    mounts = Path(f"/proc/{worker}/mountinfo").read_text().splitlines()
    root = next(line for line in mounts if line.split()[4] == "/")
    assert "ro" in root.split()[5].split(",")
    denied = instance.run(
        "builds", "shell", "-c", "import pathlib; pathlib.Path('/app/images/x.py').write_text('')"
    )
    assert "Read-only file system" in denied.stderr


def processes_with(argument: bytes, variable: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                ours = variable.encode() in (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            # setpriv and unshare around it carry the same words.
            if ours and argument in command and command.startswith(b"/app/.venv/"):
                found.append(int(folder.name))
    return found


def assert_it_builds(instance: Instance) -> None:
    """An operator's first steps, then a member's: a base image, a token, an image that becomes READY."""
    made = instance.run(
        "web", "createsuperuser", "--noinput", "--username=root", "--email=r@example.org",
        DJANGO_SUPERUSER_PASSWORD="correct horse battery staple",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert instance.run("web", "shell", "-c", SETUP).returncode == 0
    token = instance.run(
        "web", "create_api_token", "--user=root", "--workspace=Work", "--name=test"
    ).stdout.strip()
    rootfs = patched_debian(STATE / "cache", instance.folder / "cache")
    rootfs.chmod(0o644)
    based = instance.run(
        "web", "import_base_image", "--rootfs", f"/var/cache/ri-platform/{rootfs.name}",
        "--python-version", "3.11",
    )  # fmt: skip
    assert based.returncode == 0, based.stdout + based.stderr + instance.log("builds")
    with httpx.Client(
        base_url=f"http://127.0.0.1:{instance.port}", headers={"rime-api-key": token},
        timeout=60, trust_env=False,
    ) as client:  # fmt: skip
        asked = client.post(
            "/v1/images",
            json={
                "name": "from-the-image",
                "pipRequirements": [{"name": "pyjokes", "versionSpecifier": "==0.6.0"}],
                "pythonVersion": "3.11",
            },
        )
        assert asked.status_code == 200, asked.text
        deadline = time.monotonic() + 240
        while True:
            told = client.get("/v1/images/from-the-image").json()["image"]
            if told["status"] in ("STATUS_READY", "STATUS_FAILED"):
                break
            assert time.monotonic() < deadline, instance.log("builds")
            time.sleep(0.2)
        assert told["status"] == "STATUS_READY", instance.log("builds")
        assert {"name": "pyjokes", "version": "0.6.0"}.items() <= next(
            library for library in told["pipLibraries"] if library["name"] == "pyjokes"
        ).items()
        with_packages = client.post(
            "/v1/images",
            json={
                "name": "with-packages",
                "packageRequirements": [{"name": "jq", "packageType": "PACKAGE_TYPE_APT"}],
                "pythonVersion": "3.11",
            },
        )
        # Refused with the reason, not accepted and never built.
        assert with_packages.status_code in (400, 422), with_packages.text
        assert "buildah is not installed" in with_packages.text


def assert_it_can_be_watched(instance: Instance) -> None:
    def scraped(port: int) -> str:
        answer = httpx.get(
            f"http://127.0.0.1:{port}/metrics",
            headers={"Authorization": f"Bearer {METRICS_TOKEN}"}, trust_env=False,
        )  # fmt: skip
        assert answer.status_code == 200
        return answer.text

    web = scraped(instance.port)
    assert 'ri_images{status="READY"} 1.0' in web
    assert (
        'ri_http_request_duration_seconds_count{method="POST",route="v1/images",status="200"} 1.0'
        in web
    )
    builds = scraped(instance.metrics["builds"])
    assert 'ri_builds_total{reason="",state="succeeded"} 1.0' in builds
    assert 'ri_build_phase_duration_seconds_count{phase="verify"} 1.0' in builds
    assert 'ri_aws_calls_total{action="ecr:PutImage",error=""}' in builds
    assert 'ri_layers_total{origin="new"}' in builds
    assert 'ri_cache_free_bytes{folder="/var/cache/ri-platform"}' in builds
    registry = scraped(instance.metrics["registry"])
    assert 'ri_aws_calls_total{action="ecr:CreateRepository",error=""} 3.0' in registry
    assert "python_info" in scraped(instance.metrics["scheduler"])
    log = instance.log("builds")
    lines = [line for line in log.splitlines() if "Build 1 of from-the-image" in line]
    assert lines
    assert all('"build": 1' in line and '"task_id"' in line for line in lines), lines
    assert "request_id" in log
    for name in instance.running:
        for secret in (METRICS_TOKEN, "k" * 64, *instance.aws.keys["build-jobs"].values()):
            assert secret not in instance.log(name)
