"""The published versions of the public clients, unmodified: what docs/compatibility.md says of each is so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images.models import BaseImage, BuildHost, ManagedImage, Status
from images.models.lease import WorkState
from tests import factories
from tests.api.client_calls import CALLS, COLUMNS
from tests.api.public_client import CLIENTS, PublicClient, Raised
from tests.cast import Cast
from tests.environments import ROOT
from workspaces.models import User

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PAGE = ROOT / "docs" / "compatibility.md"
WORKS, ABSENT = "yes", "—"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


@pytest.fixture
def names(cast: Cast, base: BaseImage) -> dict[str, Any]:
    """Images of Workspace 1 for one client, and their builds as jobs."""
    BuildHost.objects.create(name="able")
    for kind in ("images", "nlp", "tabular"):
        factories.make_base_image(image_type=kind)
    BaseImage.objects.update(os_family="debian")
    owned: dict[str, Any] = {"base": base, "created_by": cast.admin, "created_in": cast.workspace}
    now = timezone.now()
    times = {"started_at": now - timedelta(seconds=12.5), "finished_at": now}
    ready = factories.make_image("ready", **owned, **times)
    ManagedImage.objects.filter(pk=ready.pk).update(os_packages=[{"name": "jq", "version": ""}])
    failing = factories.make_image("failing", status=Status.FAILED, **owned, **times)
    failing.builds.get().log_chunks.create(offset=0, text="Resolving nosuchlib\n")
    running = factories.make_image("running", status=Status.BUILDING_FIRST_TIME, **owned)
    running.builds.update(
        state=WorkState.RUNNING, started_at=now, lease_expires_at=now + timedelta(hours=1)
    )
    many = factories.make_images([f"many-{number:02}" for number in range(25)], **owned)
    return {
        "new": "new",
        "ready": ready.name,
        "failing": failing.name,
        "many": [image.name for image in many],
        "workspace": str(cast.workspace.pk),
        "model": str(factories.make_model(cast.workspace).pk),
        "ready_job": str(ready.builds.get().pk),
        "failing_job": str(failing.builds.get().pk),
        "running_job": str(running.builds.get().pk),
    }


# The first and the last version of each client are asked by `make test`, all others by `make test-long`.
ENDS = {
    version
    for name in {client.split()[0] for client in CLIENTS}
    for version in (
        [client for client in CLIENTS if client.split()[0] == name][place] for place in (0, -1)
    )
}


@pytest.fixture(
    params=[
        client if client in ENDS else pytest.param(client, marks=pytest.mark.long)
        for client in CLIENTS
    ]
)
def client(request: pytest.FixtureRequest) -> Iterator[tuple[str, PublicClient]]:
    process = PublicClient(request.param)
    yield request.param, process
    process.close()


def test_a_client_does_what_the_page_says(
    client: tuple[str, PublicClient],
    web: str,
    cast: Cast,
    names: dict[str, Any],
    token_for: Callable[[User], str],
) -> None:
    version, process = client
    first, calls = CALLS[version.split()[0]]
    process.run(first)
    # Clients before 2.0 have an address of their own.
    names["url"] = f"{web}/0.20" if version.startswith("rime-sdk 0.") else web
    names["token"] = token_for(cast.admin)
    told = [outcome(process, calls[call], names) if call in calls else ABSENT for call in COLUMNS]
    found = row([version, *told])
    assert found in PAGE.read_text(encoding="utf-8").splitlines(), found


def outcome(process: PublicClient, code: str, names: dict[str, Any]) -> str:
    """What a cell of the table says: whether it works, or what was raised."""
    try:
        process.run(code, **names)
    except Raised as error:
        text = " ".join(str(error).split())
        if text.startswith("LookupError"):
            return ABSENT
        return "404" if text.startswith("ApiException: (404)") else text
    return WORKS


def test_the_page_tells_of_the_tested_clients_and_calls_alone() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    heading = lines.index(row(["client", *COLUMNS]))
    table = lines[heading + 2 : heading + 2 + len(CLIENTS)]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table] == CLIENTS
    assert not lines[heading + 2 + len(CLIENTS)].startswith("|")
