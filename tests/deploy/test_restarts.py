"""compose.yaml and kubernetes.yaml start again what ends, and give it the time it needs to stop."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from django.conf import settings

from images.registry.ecr.repositories import READ_SECONDS
from ri_platform import processes
from tests.deploy.compose import COMPOSE, DEPLOY, PLATFORM

KUBERNETES: list[dict[str, Any]] = [
    *yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
]
DEPLOYMENTS = {
    item["metadata"]["name"]: item for item in KUBERNETES if item["kind"] == "Deployment"
}
LASTING = sorted({*PLATFORM} - {"migrate"})
# Beyond what a worker gives its work, for what it does when it hands over.
MARGIN = 15


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)(s|m)", text)
    assert found, text
    return int(found[1]) * {"s": 1, "m": 60}[found[2]]


def grace_needed(name: str) -> int:
    if name in processes.IDENTITIES:
        # A call that it is in by then: no attempt begins after two of these, and each may take one.
        call = max(3 * settings.CALL_SECONDS, READ_SECONDS)
        return settings.STOP_SECONDS + call + MARGIN
    # granian ends its process after this.
    return 15 if name == processes.WEB else 0


@pytest.mark.parametrize("name", LASTING)
def test_compose_starts_again_what_ends(name: str) -> None:
    assert PLATFORM[name]["restart"] == "unless-stopped"
    assert "healthcheck" in PLATFORM[name]
    assert seconds(PLATFORM[name]["stop_grace_period"]) >= grace_needed(name)


def test_compose_starts_postgresql_and_the_broker_again() -> None:
    for name in ("database", "broker"):
        assert COMPOSE["services"][name]["restart"] == "unless-stopped"


def test_kubernetes_has_the_same_processes() -> None:
    assert sorted(DEPLOYMENTS) == LASTING
    for name, deployment in DEPLOYMENTS.items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["args"] == [name]


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.slow
def test_kubernetes_starts_again_what_ends_or_hangs(name: str) -> None:
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    port = container["ports"][0]["containerPort"]
    assert pod["restartPolicy"] == "Always"
    assert pod["terminationGracePeriodSeconds"] >= grace_needed(name)
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port}
    if name == processes.WEB:
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port}


@pytest.mark.parametrize("name", [*LASTING, "migrate"])
def test_kubernetes_confines_every_process(name: str) -> None:
    (pod,) = [
        item["spec"]["template"]["spec"]
        for item in KUBERNETES
        if item["metadata"]["name"] == name and item["kind"] != "Service"
    ]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_kubernetes_gives_an_identity_to_the_documents_workers_alone() -> None:
    accounts = {
        name: item["spec"]["template"]["spec"]["serviceAccountName"]
        for name, item in DEPLOYMENTS.items()
    }
    assert {name: account for name, account in accounts.items() if account != "default"} == (
        processes.IDENTITIES
    )
