"""The road of `make run`: PostgreSQL, migrations, local AWS, demo, web, workers; then wait, then end all.

State stands in one folder (`RI_STATE_DIR`, `.local`). `run.env` there tells `manage.py` commands where
the services are and holds no AWS key; each worker's keys reach that worker's environment alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ri_platform import processes
from ri_platform.env import read_env_file
from ri_platform.local import services
from ri_platform.local.supervisor import Child, Supervisor

BASE_DIR = Path(__file__).resolve().parents[2]
DATABASE = "ri_platform"
WEB_SECONDS = 60.0
ACCOUNTS = (
    ("admin", "Organization Administrator"),
    ("member", "Workspace member"),
    ("viewer", "Workspace viewer"),
)


class CannotStart(Exception):
    """Why the product cannot start, as a sentence for the person at the prompt."""


@dataclass(frozen=True)
class Place:
    """Where this instance lives: its state folder and its ports."""

    state: Path
    port: int
    aws_port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"


def main() -> int:
    state = (BASE_DIR / os.environ.get("RI_STATE_DIR", ".local")).resolve()
    try:
        port = int(os.environ.get("PORT") or 8000)
    except ValueError:
        print("PORT must be a number.", file=sys.stderr)
        return 2
    state.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(state / "run.log")
    supervisor.handle_signals()
    try:
        with only_one(state):
            return run(state, port, supervisor)
    except CannotStart as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        supervisor.stop()


def run(state: Path, port: int, supervisor: Supervisor) -> int:
    if not services.port_is_free(port):
        raise CannotStart(f"Port {port} is taken. Choose another: PORT=8001 make run")
    place = Place(state, port, choose_aws_port(state))
    say("Starting PostgreSQL …")
    postgres = services.start_postgres(state / "postgres")
    try:
        postgres.ensure_database(DATABASE)
        values = write_run_env(place, postgres)
        web = services.without_aws({**os.environ, **values, "RI_STATE_DIR": str(state)})
        say("Starting the local AWS …")
        aws = supervisor.start(
            "aws",
            services.aws_command(),
            services.aws_environment(folder(state / "aws"), place.aws_port),
        )
        manage(web, "migrate", "--verbosity", "0")
        collect_static(web, state)
        wait_for(aws, services.aws_health(place.aws_port), services.START_SECONDS)
        manage(web, "seed_demo", RI_DEMO_PASSWORD=demo_password(state))
        identities = aws_identities(web, place)
        start_product(supervisor, place, web, identities)
        announce(place)
        ended = supervisor.wait()
        if ended is not None:
            raise CannotStart(told_of(ended, state))
        say("Stopping …")
        return 0
    finally:
        supervisor.stop()
        postgres.stop()


def start_product(
    supervisor: Supervisor, place: Place, web: dict[str, str], identities: dict[str, dict[str, str]]
) -> None:
    console = supervisor.start("web", processes.web(place.port), web)
    for name in processes.WORKERS:
        identity = identities.get(processes.IDENTITIES.get(name, ""), {})
        supervisor.start(name, processes.worker(name), web | identity)
    supervisor.start("scheduler", processes.scheduler(place.state), web)
    say("Starting the console …")
    wait_for(console, f"{place.address}/healthz", WEB_SECONDS)


class only_one:  # noqa: N801  (reads as a phrase: `with only_one(state)`)
    """Hold the state folder; a second start is told about the first."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def __enter__(self) -> None:
        self._file: IO[str] = (self._state / "lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            port = read_env_file(self._state / "run.env").get("PORT", "8000")
            raise CannotStart(
                f"It is running already, at http://127.0.0.1:{port} (state in {self._state})."
            ) from error

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def collect_static(web: dict[str, str], state: Path) -> None:
    """Compress and name the static files by hash, which takes seconds: only when they have changed."""
    sources = sorted(path for path in (BASE_DIR / "static").rglob("*") if path.is_file())
    seen = hashlib.sha256()
    for path in (BASE_DIR / "requirements/run.lock", *sources):
        seen.update(str(path.relative_to(BASE_DIR)).encode() + path.read_bytes())
    stamp = state / "static.stamp"
    if not stamp.exists() or stamp.read_text() != seen.hexdigest():
        manage(web, "collectstatic", "--no-input", "--clear", "--verbosity", "0")
        stamp.write_text(seen.hexdigest())


def choose_aws_port(state: Path) -> int:
    """The port of the last time, for it is part of every pull reference; else the usual or a free one."""
    kept = state / "aws-port"
    if kept.exists():
        port = int(kept.read_text())
        if not services.port_is_free(port):
            raise CannotStart(
                f"Port {port} of the local AWS is taken, and references to images contain it. "
                f"Free it, or delete {kept} to choose another."
            )
        return port
    preferred = services.PREFERRED_AWS_PORT
    port = preferred if services.port_is_free(preferred) else services.free_port()
    kept.write_text(str(port))
    return port


def write_run_env(place: Place, postgres: services.Postgres) -> dict[str, str]:
    secret = kept_secret(place.state / "secret-key", 48)
    values = {
        "PORT": str(place.port),
        "RI_STATE_DIR": str(place.state),
        "RI_SECRET_KEY": secret,
        "RI_DEMO": "true",
        "DATABASE_URL": postgres.url(DATABASE),
        "CELERY_BROKER_URL": postgres.url(DATABASE, "pgmq"),
        "RI_AWS_REGION": services.REGION,
        "RI_AWS_ENDPOINT_URL": place.aws_url,
        "RI_REGISTRY_URL": place.aws_url,
        "RI_LOG_FORMAT": "text",
    }
    write_private(
        place.state / "run.env",
        "# Written by make run at every start; manage.py reads it where the environment is silent.\n"
        + "".join(f"{name}={value}\n" for name, value in values.items()),
    )
    return values


def aws_identities(web: dict[str, str], place: Place) -> dict[str, dict[str, str]]:
    """The two IAM users' keys by identity, as environments; also writes `aws.env` for people."""
    told = manage(web, "bootstrap_local_aws", "--keys", str(place.state / "aws-keys.json"))
    keys: dict[str, dict[str, str]] = json.loads(told)
    common = {"AWS_ENDPOINT_URL": place.aws_url, "AWS_DEFAULT_REGION": services.REGION}
    builds = {**common, **keys["build-jobs"]}
    registry = place.aws_url.partition("://")[2]
    write_private(
        place.state / "aws.env",
        "# The local registry as the build jobs see it. For example:\n"
        "#   set -a; . .local/aws.env; set +a\n"
        "#   .venv/bin/python manage.py registry_password | "
        f"skopeo login --tls-verify=false -u AWS --password-stdin {registry}\n"
        f"#   skopeo copy --src-tls-verify=false docker://{registry}/rime-managed-images/NAME:build-1 "
        "oci:NAME\n" + "".join(f"{name}={value}\n" for name, value in builds.items()),
    )
    return keys


def manage(environment: dict[str, str], *arguments: str, **extra: str) -> str:
    """Run a management command to its end; its words become the error if it fails."""
    done = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
        env={**environment, **extra},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotStart(f"manage.py {arguments[0]} failed:\n" + last_lines(done.stderr))
    return done.stdout


def last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:])


def wait_for(child: Child, url: str, seconds: float) -> None:
    if not services.wait_until_answers(url, seconds) or child.process.poll() is not None:
        raise CannotStart(f"{child.name} did not start:\n" + "\n".join(child.last_lines))


def told_of(child: Child, state: Path) -> str:
    words = "\n  ".join(child.last_lines)
    return (
        f"{child.name} ended with status {child.process.returncode}, so everything was stopped. "
        f"Its last words (all in {state / 'run.log'}):\n  {words}"
    )


def announce(place: Place) -> None:
    password = demo_password(place.state)
    rows = "".join(f"    {name:<8} {role}\n" for name, role in ACCOUNTS)
    say(
        f"\nThe console is at {place.address}\n\n"
        f"  Accounts, all with the password {password}\n{rows}\n"
        f"  Local registry: {place.aws_url} (keys in {place.state / 'aws.env'})\n"
        f"  Log:            {place.state / 'run.log'}\n"
        f"  Stop:           Ctrl-C\n"
    )
    if shutil.which("mmdebstrap") is None:
        say(
            "  mmdebstrap is not installed. Without Docker Hub in reach, the base image needs it:\n"
            "  apt-get install mmdebstrap, then start again.\n"
        )


def demo_password(state: Path) -> str:
    return os.environ.get("RI_DEMO_PASSWORD") or kept_secret(state / "demo-password", 12)


def kept_secret(path: Path, length: int) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(length))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
