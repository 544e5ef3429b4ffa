"""Probes, metrics and logs: what whoever runs an instance looks at, and what none of them may tell."""

from __future__ import annotations

import json
import logging
import re
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog
from celery import Celery
from celery.contrib.testing.worker import start_worker
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from images.models import BaseImage, Build, Drift, ManagedImage
from images.models.lease import WorkState
from images.operations import removal
from ri_platform import health, logs, metrics
from ri_platform.celery import app
from ri_platform.local import services
from tests import factories
from tests.cast import Cast
from tests.log_lines import written
from workspaces.access import Actor
from workspaces.models import Workspace

pytestmark = pytest.mark.slow

TOKEN = "a-token-that-nobody-guesses"


# --- probes -----------------------------------------------------------------------------------------------


def test_a_process_is_alive_without_its_database_and_ready_only_with_it(
    client: Client, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    assert client.get("/readyz").content == b"ready\n"

    def away(*args: object) -> None:
        raise DatabaseError("connection to db.internal as user secret failed")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", away)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.content) == (503, b"The database does not answer.\n")
        assert client.get("/healthz").content == b"ok\n"


def test_a_database_of_an_older_version_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    monkeypatch.setattr(health, "schema", health.Schema())
    MigrationRecorder(connection).record_unapplied(
        *MigrationLoader(connection).graph.leaf_nodes("images")[0]
    )
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert b"1 migrations are not applied: run manage.py migrate." in answer.content


def test_probes_answer_by_address_and_without_tls(client: Client, settings: Any, db: None) -> None:
    settings.ALLOWED_HOSTS = ["console.example"]
    settings.SECURE_SSL_REDIRECT = True
    for path in ("/healthz", "/readyz"):
        assert client.get(path, headers={"host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/signin", headers={"host": "10.0.0.7:8000"}).status_code == 400


# --- metrics ----------------------------------------------------------------------------------------------


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    """Samples by name and the values of their labels, which Prometheus' format sorts by name."""
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_metrics_take_their_token_and_are_closed_without_one(
    client: Client, settings: Any, db: None
) -> None:
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = TOKEN
    refused = client.get("/metrics")
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, 'Bearer realm="RI Platform"')
    wrong = client.get("/metrics", headers={"authorization": "Bearer something-else"})
    assert wrong.status_code == 401
    assert scrape(client)[("ri_database_up",)] == 1


def test_facts_are_read_from_the_database_anew(
    cast: Cast, base: BaseImage, client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = TOKEN
    before = scrape(client)
    assert before["ri_images", "READY"] == 0
    assert before["ri_queue_length", "queued", "run_build"] == 0
    image = factories.make_image("waiting", base=base)
    factories.make_image("ready", base=base)
    ManagedImage.objects.filter(name="waiting").update(status="REBUILDING")
    Build.objects.create(image=image, number=7, base_image=base, spec=image.spec)
    long_ago = timezone.now() - timedelta(hours=1)
    Build.objects.filter(number=7).update(created_at=long_ago)
    after = scrape(client)
    assert (after["ri_images", "READY"], after["ri_images", "REBUILDING"]) == (1, 1)
    assert after["ri_queue_length", "queued", "run_build"] >= 1
    assert 3590 < after["ri_queue_oldest_age_seconds", "run_build"] < 3700
    assert after[("ri_leases_expired",)] == 0
    Build.objects.filter(number=7).update(state=WorkState.RUNNING, lease_expires_at=long_ago)
    assert scrape(client)[("ri_leases_expired",)] == 1
    removal.remove_image(Actor(cast.admin), "ready")
    last = scrape(client)
    assert last["ri_images", "REMOVING"] == 1
    # A removal within its grace time keeps nobody waiting.
    ManagedImage.objects.filter(name="ready").update(removed_at=long_ago)
    assert scrape(client)["ri_queue_oldest_age_seconds", "delete_repository"] == 0


def test_it_is_told_how_long_lost_images_wait_to_be_pushed_again(
    base: BaseImage, client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert scrape(client)[("ri_drift_oldest_age_seconds",)] == 0
    image = factories.make_image("lost", base=base)
    drift = Drift.objects.create(build=image.current_build, codes=["tag_missing"], said=["Gone."])
    Drift.objects.update(created_at=timezone.now() - timedelta(hours=1))
    told = scrape(client)
    assert 3590 < told[("ri_drift_oldest_age_seconds",)] < 3700
    assert 3590 < told["ri_queue_oldest_age_seconds", "restore_repository"] < 3700
    # What AWS refuses is told apart.
    Drift.objects.filter(pk=drift.pk).update(error_code="registry_denied")
    assert scrape(client)[("ri_drift_oldest_age_seconds",)] == 0


def test_repositories_whose_upkeep_is_refused_are_counted(
    db: None, client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert scrape(client)[("ri_repositories_refused",)] == 0
    factories.make_refused_repository("rime-managed-images/refused")
    assert scrape(client)[("ri_repositories_refused",)] == 1


def test_a_database_that_is_away_is_a_metric(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    settings.METRICS_TOKEN = TOKEN

    def away(*args: object) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", away)
        assert scrape(client)[("ri_database_up",)] == 0


def test_a_takeover_is_counted_and_a_first_claim_is_not(base: BaseImage) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("ri_lease_takeovers_total", {"kind": "build"}) or 0

    image = factories.make_image("taken", base=base)
    build = Build.objects.create(image=image, number=5, base_image=base, spec=image.spec)
    before = counted()
    assert Build.objects.claim(build.pk, 30) is not None
    assert counted() == before
    Build.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert Build.objects.claim(build.pk, 30) is not None
    assert counted() == before + 1


def test_a_worker_answers_on_a_port_of_its_own(settings: Any) -> None:
    settings.METRICS_PORT = port = services.free_port()
    metrics.serve()
    url = f"http://127.0.0.1:{port}/metrics"
    assert "ri_aws_calls_total" in httpx.get(url, trust_env=False).text
    settings.METRICS_TOKEN = TOKEN
    refused = httpx.get(url, trust_env=False)
    assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    alive = httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
    assert (alive.status_code, alive.text) == (200, "ok\n")
    named = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    assert "ri_build_phase_duration_seconds" in named.text
    # What the database says is the web process's to tell, or each worker would tell it once more.
    assert "ri_queue_length" not in named.text


def test_requests_are_measured_by_route(client: Client, settings: Any, db: None) -> None:
    settings.METRICS_TOKEN = TOKEN
    client.get("/signin")
    client.get("/nothing-here/with-something-secret")
    found = scrape(client)
    assert found["ri_http_request_duration_seconds_count", "GET", "signin", "200"] >= 1
    assert not [key for key in found if "with-something-secret" in str(key)]


# --- logs -------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_what_it_is_about() -> None:
    with (
        written(logs.JSON) as stream,
        structlog.contextvars.bound_contextvars(build=3, image="churn"),
    ):
        logging.getLogger("images.x").warning("Two\nlines of %s", "something")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "Two\nlines of something",
        "logger": "images.x",
        "level": "warning",
        "build": 3,
        "image": "churn",
    }


def test_beside_make_run_a_line_reads_and_nobody_forges_another() -> None:
    with written(logs.TEXT) as stream, structlog.contextvars.bound_contextvars(build=3):
        logging.getLogger("images.x").info("Ready\n12:00:00 [info] forged")
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info +\] Ready\\n12.* \[images.x\] build=3", line), line


LEAKS = [
    "https://team:hunter22@index.internal/simple",
    "postgres://ri:hunter22@db/ri",
    "Authorization: Basic aHVudGVyMjI6aHVudGVyMjI=",
    "{'authorization': 'Bearer hunter22hunter22'}",
    "rime-api-key: ri_" + "ab12" * 16,
    "/password/MQ/cabcde-hunter22hunter22",
    "https://s3.example/blob?X-Amz-Date=1&X-Amz-Signature=hunter22&X-Amz-Security-Token=hunter22",
    "/signin/oidc/callback?code=hunter22&state=hunter22",
]


@pytest.mark.parametrize("form", [logs.JSON, logs.TEXT])
def test_no_credential_is_written_whatever_its_form_and_whoever_writes_it(form: str) -> None:
    with written(form, "the-installations-own") as stream:
        for leak in LEAKS:
            logging.getLogger("some.library").error("It failed: %s", leak)
        try:
            raise ValueError("the key is the-installations-own")
        except ValueError:
            local_variable = "hunter22"
            logging.getLogger("some.library").exception("Broke with %s", len(local_variable))
    told = stream.getvalue()
    assert told.count("***") >= len(LEAKS) + 1
    for secret in ("hunter22", "aHVudGVyMjI", "ab12ab12", "the-installations-own"):
        assert secret not in told
    assert "index.internal" in told
    assert "ValueError" in told


def test_a_request_has_an_id_and_one_line_without_its_path(cast: Cast, settings: Any) -> None:
    with written(logs.JSON) as stream:
        answer = cast.client(cast.member).get(
            "/password/MQ/some-token", headers={"x-request-id": "mine"}
        )
    (line,) = [
        json.loads(line)
        for line in stream.getvalue().splitlines()
        if "ri_platform.requests" in line
    ]
    assert line["event"] == f"GET /password/<uidb64>/<token> {answer.status_code}"
    assert line["user"] == cast.member.pk
    assert line["request_id"] == answer["X-Request-ID"] != "mine"
    assert "some-token" not in stream.getvalue()
    settings.DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True
    for given, taken in (("from-our-proxy", True), ("no id\tat all", False), ("x" * 65, False)):
        ours = cast.client(cast.member).get("/workspaces", headers={"x-request-id": given})
        assert (ours["X-Request-ID"] == given) is taken


@pytest.mark.parametrize("level", ["DEBUG", "ERROR"])
def test_no_line_has_an_address_whatever_the_level_and_whatever_breaks(
    level: str, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", getattr(logging, level))
    client = cast.client(cast.member)
    client.raise_request_exception = False
    with written(logs.JSON) as stream, monkeypatch.context() as broken:
        client.get("/workspaces?secret=hunter22", headers={"user-agent": "hunter23"})
        broken.setattr(type(Workspace.objects), "visible_to", lambda *arguments: 1 / 0)
        answer = client.get("/workspaces?secret=hunter22", headers={"user-agent": "hunter23"})
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert answer.status_code == 500
    # One traceback, and it has the id that the answer tells.
    assert [line["request_id"] for line in lines if "exception" in line] == [answer["X-Request-ID"]]
    assert "hunter2" not in stream.getvalue()


def test_a_requests_id_travels_with_its_message_and_a_task_has_its_own() -> None:
    """By a worker of a broker in this process, which only passes on what the message has."""
    other = Celery("tests", broker="memory://", set_as_current=False)
    other.steps["worker"] = app.steps["worker"]
    seen: list[dict[str, Any]] = []
    done = threading.Event()

    @other.task(name="tests.look")
    def look() -> None:
        seen.append(structlog.contextvars.get_contextvars())
        done.set()

    try:
        with start_worker(other, pool="solo", perform_ping_check=False, shutdown_timeout=30):
            with structlog.contextvars.bound_contextvars(
                request_id="abc123", task_id="me", image="x"
            ):
                sent = look.delay()
            assert done.wait(20)
            done.clear()
            look.delay()
            assert done.wait(20)
    finally:
        # `start_worker` makes its application everybody's.
        app.set_current()
        app.set_default()
    first, second = seen
    assert first == {"task": "look", "task_id": sent.id, "request_id": "abc123"}
    assert set(second) == {"task", "task_id"}
