"""The steps of `make run`: PostgreSQL, migrations, local AWS, demo, web, workers, then the shutdown.

All state is in one folder (`RI_STATE_DIR`, `.local`), which only its owner can read. Its file `run.env` gives
`manage.py` commands the addresses of the services and holds no AWS key. A worker's keys are in that worker's
environment only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from ri_platform import processes
from ri_platform.local import services
from ri_platform.local.child import Child
from ri_platform.local.restarts import GivenUp
from ri_platform.local.state import (
    SEARCHED_BY_OTHERS,
    CannotStart,
    Place,
    choose_aws_port,
    demo_password,
    folder,
    kept_secret,
    open_state,
    write_private,
)
from ri_platform.local.supervisor import Stopped, Supervisor
from ri_platform.local.terminal import Terminal

BASE_DIR = Path(__file__).resolve().parents[2]
DATABASE = "ri_platform"
# Beside four builders on two busy cores it takes minutes; a process that has ended is not waited for.
WEB_SECONDS = 600.0
# What workers give a build when they are told to stop: less than the supervisor gives them.
WORKER_STOP_SECONDS = 2
ACCOUNTS = (
    ("admin", "Organization Administrator"),
    ("member", "Workspace member"),
    ("viewer", "Workspace viewer"),
)


def main() -> int:
    state = (BASE_DIR / os.environ.get("RI_STATE_DIR", ".local")).resolve()
    terminal = Terminal()
    try:
        port, builders = number("PORT", 8000), number("BUILDERS", 1)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with open_state(state) as lock:
            supervisor = Supervisor(state / "run.log", terminal.hear, terminal.tell, lock)
            supervisor.handle_signals()
            return run(state, port, builders, supervisor, terminal)
    except Stopped:
        terminal.say("Stopped.")
        return 0
    except CannotStart as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def number(variable: str, default: int) -> int:
    """A variable's number. Raises `ValueError` with a sentence if it is none from 1."""
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{variable} must be a number from 1.")
    return int(text)


def run(state: Path, port: int, builders: int, supervisor: Supervisor, terminal: Terminal) -> int:
    if not services.port_is_free(port):
        raise CannotStart(f"Port {port} is taken. Choose another: PORT=8001 make run")
    place = Place(state, port, choose_aws_port(state))
    with terminal.step("Starting PostgreSQL"):
        postgres = start_postgres(state)
    try:
        postgres.ensure_database(DATABASE)
        values = write_run_env(place, postgres)
        web = services.remove_aws_identity({**os.environ, **values, "RI_STATE_DIR": str(state)})
        aws = supervisor.start(
            "aws",
            services.aws_command(),
            services.aws_environment(folder(state / "aws"), place.aws_port),
        )
        with terminal.step("Preparing the database"):
            manage(supervisor, web, "migrate", "--verbosity", "0")
        with terminal.step("Preparing the pages"):
            collect_static(supervisor, web, state)
        with terminal.step("Starting the local AWS"):
            wait_for(supervisor, aws, services.aws_health(place.aws_port), services.START_SECONDS)
            identities = aws_identities(supervisor, web, place)
        with terminal.step("Preparing accounts and the base image"):
            password = demo_password(state)
            base_image = manage(supervisor, web, "seed_demo", RI_DEMO_PASSWORD=password)
        with terminal.step("Starting the console"):
            start_product(supervisor, place, web, identities, builders)
        terminal.banner(banner(place, base_image.strip()))
        supervisor.watch(postgres)
        given_up = supervisor.keep_up()
        if given_up is not None:
            raise CannotStart(describe_end(given_up, state))
        terminal.say("Stopping …")
        return 0
    finally:
        supervisor.stop()
        postgres.stop()


def start_postgres(state: Path) -> services.Postgres:
    try:
        postgres = services.start_postgres(state / "postgres")
    except (subprocess.SubprocessError, OSError) as error:
        log = state / "postgres" / "log"
        words = last_lines(log.read_text(errors="replace")) if log.exists() else str(error)
        raise CannotStart(f"PostgreSQL did not start:\n{words}") from error
    # PostgreSQL's user traverses this folder to its data; the library would also let others list it.
    state.chmod(SEARCHED_BY_OTHERS if postgres.has_own_user else 0o700)
    return postgres


def start_product(
    supervisor: Supervisor,
    place: Place,
    web: dict[str, str],
    identities: dict[str, dict[str, str]],
    builders: int,
) -> None:
    console = supervisor.start("web", processes.web(place.port), web)
    # The workers start after it: on two cores all at once would keep people waiting for the slowest.
    wait_for(supervisor, console, f"{place.address}/healthz", WEB_SECONDS)
    for queue in processes.WORKERS:
        identity = identities.get(processes.IDENTITIES.get(queue, ""), {})
        several = queue == processes.BUILDS and builders > 1
        shared = {
            "RI_STOP_SECONDS": str(WORKER_STOP_SECONDS),
            **(layer_processes(builders) if several else {}),
        }
        names = [f"{queue}-{number}" for number in range(1, builders + 1)] if several else [queue]
        for name in names:
            supervisor.start(name, processes.worker(queue, name), {**shared, **web, **identity})
    supervisor.start("scheduler", processes.scheduler(place.state), web)


def layer_processes(builders: int) -> dict[str, str]:
    """The cores divided among builds workers that share a machine, unless the environment says otherwise."""
    cores = len(os.sched_getaffinity(0))
    return {"RI_BUILD_WORKERS": str(max(1, cores // builders))}


def collect_static(supervisor: Supervisor, web: dict[str, str], state: Path) -> None:
    """Compress and name the static files by hash, which takes seconds: only when they have changed."""
    sources = sorted(path for path in (BASE_DIR / "static").rglob("*") if path.is_file())
    seen = hashlib.sha256()
    for path in (BASE_DIR / "requirements/run.lock", *sources):
        seen.update(str(path.relative_to(BASE_DIR)).encode() + path.read_bytes())
    stamp = state / "static.stamp"
    if not stamp.exists() or stamp.read_text() != seen.hexdigest():
        manage(supervisor, web, "collectstatic", "--no-input", "--clear", "--verbosity", "0")
        stamp.write_text(seen.hexdigest())


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


def aws_identities(
    supervisor: Supervisor, web: dict[str, str], place: Place
) -> dict[str, dict[str, str]]:
    """The environments with the keys of the two IAM users. Also writes `aws.env`."""
    kept = str(place.state / "aws-keys.json")
    told = manage(supervisor, web, "bootstrap_local_aws", "--keys", kept)
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


def manage(
    supervisor: Supervisor, environment: dict[str, str], *arguments: str, **extra: str
) -> str:
    """Run a management command. If it fails, its output becomes the error."""
    # Django's checks import every page, which takes seconds of each command; `make check` runs them.
    command = [sys.executable, str(BASE_DIR / "manage.py"), *arguments, "--skip-checks"]
    done = supervisor.run(command, {**environment, **extra})
    if done.returncode != 0:
        raise CannotStart(f"manage.py {arguments[0]} failed:\n" + last_lines(done.stderr))
    return done.stdout


def last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:])


def wait_for(supervisor: Supervisor, child: Child, url: str, seconds: float) -> None:
    """Until the child answers at `url`. Raises `CannotStart` if it does not, or has ended."""

    def is_hopeless() -> bool:
        return supervisor.stopping or child.process.poll() is not None

    answers = services.wait_until_answers(url, seconds, is_hopeless=is_hopeless)
    if supervisor.stopping:
        raise Stopped
    if not answers or child.process.poll() is not None:
        raise CannotStart(f"{child.name} did not start:\n" + "\n".join(child.last_lines))


def describe_end(ended: GivenUp, state: Path) -> str:
    words = ended.last_words.replace("\n", "\n  ")
    return (
        f"{ended.name} {ended.how} and cannot stay up, so everything was stopped. "
        f"Its last words (all in {state / 'run.log'}):\n  {words}"
    )


def banner(place: Place, base_image: str) -> str:
    password = demo_password(place.state)
    rows = "".join(f"    {name:<8} {role}\n" for name, role in ACCOUNTS)
    return (
        f"\nThe console is at {place.address}\n\n"
        f"  Accounts, all with the password {password}\n{rows}\n"
        f"  Local registry: {place.aws_url} (keys in {place.state / 'aws.env'})\n"
        f"  Base image:     {base_image}\n"
        f"  Log:            {place.state / 'run.log'}\n"
        f"  Stop:           Ctrl-C\n"
    )
