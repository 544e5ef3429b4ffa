"""compose.yaml says what it should: who runs what, with which identity, and how confined."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ri_platform import processes
from ri_platform.settings import env
from tests.deploy.compose import COMPOSE, DEPLOY, PLATFORM


def test_every_process_of_an_instance_has_its_service() -> None:
    told = {service["command"][0] for service in PLATFORM.values()}
    assert told == {processes.WEB, *processes.WORKERS, processes.SCHEDULER, "migrate"}


@pytest.mark.parametrize("name", PLATFORM)
def test_every_process_is_confined(name: str) -> None:
    service = PLATFORM[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    assert "privileged" not in service
    if name != "migrate":
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_only_the_documents_two_identities_are_given_and_to_their_workers_alone() -> None:
    given = {
        name: set(service["env_file"]) - {"platform.env"} for name, service in PLATFORM.items()
    }
    assert {name: files for name, files in given.items() if files} == {
        "registry": {"registry-server.env"},
        "builds": {"build-jobs.env"},
        "sources": {"build-jobs.env"},
    }
    for name in set(given) - {"registry", "builds", "sources"}:
        # Nor do they take the role of the machine that they run on.
        assert PLATFORM[name]["environment"]["AWS_EC2_METADATA_DISABLED"] == "true"


def test_every_variable_is_one_that_the_platform_reads() -> None:
    named = {name for service in PLATFORM.values() for name in service["environment"]}
    for example in DEPLOY.glob("*.env.example"):
        for line in example.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                named.add(line.partition("=")[0])
    ours = {name.removesuffix("_FILE") for name in named if not name.startswith("AWS_")}
    assert ours <= set(env.declared)
    assert {"RI_SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL", "RI_REPOSITORY_PREFIX"} <= ours


@pytest.mark.slow
def test_the_secrets_that_are_mounted_are_made_once_and_fit_together(tmp_path: Path) -> None:
    for file in (DEPLOY / "secrets.sh", *DEPLOY.glob("*.env.example")):
        shutil.copy(file, tmp_path)
    for _ in range(2):
        subprocess.run(["sh", str(tmp_path / "secrets.sh")], check=True, capture_output=True)
        made = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
        assert len(made["secret_key"]) == 64
        assert made["database_password"] in made["database_url"]
        assert made["broker.conf"].partition("default_pass = ")[2] in made["broker_url"]
    again = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
    assert again == made
    assert {f"secrets/{name}" for name in made} == {
        secret["file"] for secret in COMPOSE["secrets"].values()
    }
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert all((tmp_path / f"{name}.env").exists() for name in ("platform", "build-jobs"))
