"""The alerts fit what an instance tells: every name exists, and each fires when it should, not before."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.conf import settings as django_settings
from django.db import connection
from prometheus_client import Metric
from prometheus_client.registry import REGISTRY

from ri_platform import metrics, processes
from ri_platform.local import services
from tests.deploy.compose import COMPOSE
from tests.web_process import web_process

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/prometheus"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
(GROUP,) = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
# Of the Python packages, not of metrics.
PACKAGES = {"ri_platform", "ri_platform_sdk"}
TOKEN = "a-token-that-nobody-guesses"


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not here: apt-get install prometheus")
    return path


# --- names ------------------------------------------------------------------------------------------------


def families() -> dict[str, tuple[str, ...]]:
    """Every metric that the code exposes, as rules and tables name it, with its labels."""
    found: dict[str, tuple[str, ...]] = {}
    for collector in set(REGISTRY._names_to_collectors.values()):
        labels = tuple(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            found[name_of(family)] = labels
    for family in metrics.FACTS.collect():
        found[name_of(family)] = tuple(getattr(family, "_labelnames", ()))
    return {name: labels for name, labels in found.items() if name.startswith("ri_")}


def name_of(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def metric_names(text: str) -> set[str]:
    return {
        re.sub(r"_(count|sum|bucket)$", "", name) for name in re.findall(r"\bri_[a-z_]+", text)
    } - PACKAGES


def test_names_follow_prometheus_conventions(db: None) -> None:
    for family in [*REGISTRY.collect(), *metrics.FACTS.collect()]:
        if not family.name.startswith("ri_"):
            continue
        assert family.documentation.endswith("."), family.name
        if family.type == "histogram":
            assert family.name.endswith("_duration_seconds")
        if family.type == "gauge":
            assert not family.name.endswith(("_total", "_duration_seconds"))


def test_every_name_and_label_in_the_alerts_exists(db: None) -> None:
    known = families()
    for name, rule in RULES.items():
        used = metric_names(rule["expr"])
        assert used, name
        assert used <= set(known), (name, used - set(known))
        labels = set(re.findall(r"[{,](\w+)(?==|!=|=~)", rule["expr"]))
        for by in re.findall(r"by \((.*?)\)", rule["expr"]):
            labels |= {label.strip() for label in by.split(",")} - {"instance", "job"}
        assert labels <= {label for metric in used for label in known[metric]}, name


def test_the_page_for_operators_lists_every_metric_with_its_labels(db: None) -> None:
    known = families()
    told = {
        name: tuple(labels.split(",")) if labels else ()
        for row in re.findall(r"^\| (`ri_.*?) \|", OPERATIONS, re.MULTILINE)
        for name, labels in re.findall(r"`(ri_[a-z_]+)(?:\{(.*?)\})?`", row)
    }
    assert told == known
    for page in [*ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md"), ROOT / "README.md"]:
        assert metric_names(page.read_text(encoding="utf-8")) <= set(known), page


def test_every_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    }
    for name, rule in RULES.items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert all(rule["annotations"][key].endswith(".") for key in ("summary", "description"))
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor == name.lower()
        assert anchor in headings, name


def test_every_process_of_compose_is_scraped_where_it_listens() -> None:
    told = {
        target["names"][0]: target["port"]
        for job in CONFIG["scrape_configs"]
        for target in job["dns_sd_configs"]
    }
    port = int(COMPOSE["x-environment"]["RI_METRICS_PORT"])
    assert told == dict.fromkeys((*processes.WORKERS, processes.SCHEDULER), port) | {"web": 8000}
    service = COMPOSE["services"]["prometheus"]
    assert service["profiles"] == ["monitoring"]
    assert service["networks"] == ["inside", "outside"]
    mounted = {f"/run/secrets/{name}" for name in service["secrets"]}
    for job in CONFIG["scrape_configs"]:
        assert job["authorization"]["credentials_file"] in mounted
    assert "./prometheus:/etc/prometheus:ro" in service["volumes"]


# --- rules ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What becomes of a healthy instance's series (one value a minute), and what fires at `minute` then."""

    alert: str
    change: dict[str, str]
    minute: int
    labels: dict[str, str] = field(default_factory=dict)


RUN_BUILD = 'ri_queue_oldest_age_seconds{task="run_build"}'
PREPARE = 'ri_queue_oldest_age_seconds{task="prepare_repository"}'
TAKEOVERS = 'ri_lease_takeovers_total{kind="build",instance="b1"}'
CONTACT_AGE = 'ri_aws_contact_age_seconds{identity="build-jobs"}'
FAILING = 'ri_aws_contact_failing{identity="build-jobs"}'
FAILED = 'ri_builds_total{state="failed",reason="fetch_failed",instance="b1"}'
DRIFTS = 'ri_drifts{state="refused"}'
LOST = 'ri_drift_oldest_age_seconds{instance="w1"}'
REFUSED = 'ri_repositories_refused{instance="w1"}'
VERIFIED = 'ri_verification_age_seconds{instance="w1"}'
FREE = 'ri_cache_free_bytes{folder="/var/cache/ri-platform",instance="b1"}'
SCHEDULER = 'ri_build_info{process="scheduler",version="1.0.0",instance="s1"}'
HEALTHY = {
    'ri_database_up{instance="w1"}': "1x120",
    'ri_leases_expired{instance="w1"}': "0x120",
    # Now and then somebody waits for some minutes, a worker is lost, and a user's own build fails.
    RUN_BUILD: "0x20 500x3 0x97",
    PREPARE: "0x120",
    TAKEOVERS: "0x30 1x90",
    CONTACT_AGE: "30x120",
    FAILING: "0x10 1x5 0x105",
    FAILED: "0x30 2x90",
    'ri_builds_total{state="failed",reason="resolution_failed",instance="b1"}': "0+1x120",
    # Something is lost, and pushed again soon.
    DRIFTS: "0x20 1x5 0x95",
    'ri_drifts{state="queued"}': "0x20 1x50 0x50",
    LOST: "0x20 0+60x40 0x60",
    # AWS was away for a while, and answers the second attempt.
    REFUSED: "0x20 3x20 0x80",
    VERIFIED: "3600x120",
    FREE: "80e9x120",
    SCHEDULER: "1x120",
    # An upgrade takes some minutes.
    'ri_build_info{process="web",version="1.0.0",instance="w1"}': "1x120",
    'ri_build_info{process="web",version="0.9.0",instance="w0"}': "1x10 _x110",
}
CASES = [
    Case("NotServing", {'ri_database_up{instance="w1"}': "0x120"}, 5),
    Case("NotServing", {'ri_database_up{instance="w1"}': "_x120"}, 10),
    Case("BuildsWait", {RUN_BUILD: "0+60x120"}, 20),
    Case("RepositoriesWait", {PREPARE: "0+60x120"}, 20),
    Case("WorkersDie", {TAKEOVERS: "0+1x120"}, 10),
    Case("NobodyTakesOver", {'ri_leases_expired{instance="w1"}': "1x120"}, 5),
    Case("AWSRefuses", {FAILING: "1x120"}, 15, {"identity": "build-jobs"}),
    Case("AWSIsNotAsked", {CONTACT_AGE: "0+60x120"}, 25, {"identity": "build-jobs"}),
    Case("ImagesNotWhole", {DRIFTS: "1x120"}, 15, {"state": "refused"}),
    Case("ImagesNotPushedAgain", {LOST: "0+60x120"}, 75),
    Case("RepositoriesNotKept", {REFUSED: "1x120"}, 35),
    Case("NobodyVerifies", {VERIFIED: "172700+60x120"}, 15),
    Case("BuildsFailOnUs", {FAILED: "0+1x120"}, 20),
    Case("DiskNearlyFull", {FREE: "4e9x120"}, 15, {"instance": "b1"}),
    Case("NoScheduler", {SCHEDULER: "_x120"}, 10, {"process": "scheduler"}),
    Case(
        "VersionsDiffer",
        {'ri_build_info{process="web",version="0.9.0",instance="w0"}': "1x120"},
        40,
    ),
]


def expected(case: Case) -> dict[str, Any]:
    """As promtool wants it: labels and annotations as they are sent."""
    rule = RULES[case.alert]
    said = {
        name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: case.labels[found[1]], text)
        for name, text in rule["annotations"].items()
    }
    return {"exp_labels": rule["labels"] | case.labels, "exp_annotations": said}


def series(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": told} for name, told in values.items()]


def test_every_alert_fires_when_it_should_and_none_on_a_healthy_instance(tmp_path: Path) -> None:
    assert {case.alert for case in CASES} == set(RULES)
    quiet = [
        {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []}
        for name in RULES
        for minute in range(0, 120, 3)
    ]
    tests = [{"interval": "1m", "input_series": series(HEALTHY), "alert_rule_test": quiet}]
    for case in CASES:
        fires = {
            "eval_time": f"{case.minute}m", "alertname": case.alert, "exp_alerts": [expected(case)],
        }  # fmt: skip
        others = [
            {"eval_time": f"{case.minute}m", "alertname": name, "exp_alerts": []}
            for name in RULES
            if name != case.alert
        ]
        tests.append(
            {
                "interval": "1m",
                "input_series": series(HEALTHY | case.change),
                "alert_rule_test": [fires, *others],
            }
        )
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    (tmp_path / "tests.yml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yml"], "tests": tests})
    )
    done = subprocess.run(
        [tool("promtool"), "test", "rules", "tests.yml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_configuration() -> None:
    done = subprocess.run(
        [tool("promtool"), "check", "config", "--syntax-only", "prometheus.yml"],
        cwd=FOLDER, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


# --- a real Prometheus ------------------------------------------------------------------------------------


@contextmanager
def scheduler(folder: Path, port: int) -> Iterator[None]:
    database = connection.settings_dict
    environment = {
        "PATH": "/usr/bin:/bin",
        "DATABASE_URL": services.database_url(str(database["HOST"]), str(database["NAME"])),
        "CELERY_BROKER_URL": services.database_url(
            str(database["HOST"]), str(database["NAME"]), "pgmq"
        ),
        "RI_SECRET_KEY": django_settings.SECRET_KEY,
        "RI_STATE_DIR": str(folder),
        "RI_METRICS_PORT": str(port),
        "RI_METRICS_TOKEN": TOKEN,
    }
    process = subprocess.Popen(processes.scheduler(folder), cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def prometheus(folder: Path, ports: dict[str, int]) -> Iterator[httpx.Client]:
    """The files of deploy/prometheus, for services that listen on this machine; it asks every second."""
    (folder / "token").write_text(TOKEN)
    jobs = []
    for job in CONFIG["scrape_configs"]:
        (service,) = job["dns_sd_configs"][0]["names"]
        if service in ports:
            jobs.append(
                {
                    "job_name": job["job_name"],
                    "authorization": {"credentials_file": str(folder / "token")},
                    "static_configs": [{"targets": [f"127.0.0.1:{ports[service]}"]}],
                }
            )
    shutil.copy(FOLDER / "alerts.yml", folder)
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(CONFIG | {"global": often, "scrape_configs": jobs})
    )
    port = services.free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                tool("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        assert services.wait_until_answers(f"{address}/-/ready", 60), (folder / "log").read_text()
        with httpx.Client(base_url=address, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def until(client: httpx.Client, wanted: dict[str, str]) -> None:
    """Wait until the alerts stand so."""
    deadline = time.monotonic() + 60
    while True:
        (group,) = client.get("/api/v1/rules").json()["data"]["groups"]
        states = {
            rule["name"]: rule["state"]
            for rule in group["rules"]
            if not rule["lastEvaluation"].startswith("0001-")  # never
        }
        if wanted.items() <= states.items():
            return
        assert time.monotonic() < deadline, states
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_real_prometheus_misses_the_scheduler_only_while_it_is_away(tmp_path: Path) -> None:
    tool("prometheus")
    ports = {"web": services.free_port(), "scheduler": services.free_port()}
    with web_process(ports["web"], RI_METRICS_TOKEN=TOKEN), prometheus(tmp_path, ports) as client:
        until(client, {"NoScheduler": "pending", "NotServing": "inactive"})
        with scheduler(tmp_path, ports["scheduler"]):
            until(client, dict.fromkeys(RULES, "inactive"))
            told = client.get("/api/v1/query", params={"query": "ri_build_info"}).json()
            assert {
                (found["metric"]["job"], found["metric"]["process"], found["metric"]["version"])
                for found in told["data"]["result"]
            } == {
                ("ri-web", "web", django_settings.VERSION),
                ("ri-scheduler", "scheduler", django_settings.VERSION),
            }
        until(client, {"NoScheduler": "pending", "NotServing": "inactive"})
