"""The SDK and `ri-images` about the registry's contents: what it lacks, and what no record knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from ri_platform_sdk import AsyncClient, Client, Conflict, Forbidden

from images.models import BaseImage, Drift, FindingCode, UnknownRepository, Wish
from images.models.lease import WorkState
from images.operations import drift as drifts
from tests import factories
from tests.cast import Cast
from tests.sdk.prompt import Instance, Prompt, in_a_thread

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SAID = "The repository rime-managed-images/lost of build 1 of lost is not in the registry."
PromptOf = Callable[..., Prompt]


@pytest.fixture
def lost(base: BaseImage) -> None:
    """An image that the registry lost for good."""
    build = factories.make_image("lost", base=base).current_build
    assert build is not None
    drifts.record_drift(build, [FindingCode.REPOSITORY_MISSING], [SAID])
    Drift.objects.update(
        state=WorkState.FAILED,
        error_code="cannot_be_made_again",
        error_message="The layer libgomp1 would be another today.",
        error_hint="Rebuild it.",
    )


def test_a_drift_is_told_with_the_image_and_in_the_list(
    instance: Instance, cast: Cast, lost: None
) -> None:
    with Client(instance.domain, instance.token_for(cast.admin)) as client:
        drift = client.get_managed_image("lost").drift
        assert drift is not None
        assert (drift.state, drift.codes, drift.findings) == (
            "lost", ("repository_missing",), (SAID,),
        )  # fmt: skip
        assert (drift.error_reason, drift.is_healing) == ("cannot_be_made_again", False)
        (listed,) = client.list_drifts()
        assert (listed.name, listed.build, listed.is_base) == ("lost", 1, False)
    with (
        Client(instance.domain, instance.token_for(cast.manager)) as manager,
        pytest.raises(Forbidden),
    ):
        list(manager.list_drifts())


def test_repositories_are_adopted_and_deleted(instance: Instance, cast: Cast) -> None:
    for name in ("base/all-3.11", "newer", "unwanted"):
        factories.make_unknown_repository(name)
    secret = instance.token_for(cast.admin)

    async def use() -> list[str]:
        async with AsyncClient(instance.domain, secret) as client:
            assert [drift async for drift in client.list_drifts()] == []
            assert (await client.adopt_unknown_repository("newer")).decision == "adopt"
            assert (await client.delete_unknown_repository("unwanted")).decision == "delete"
            with pytest.raises(Conflict, match="imported, not adopted"):
                await client.adopt_unknown_repository("base/all-3.11")
            return [found.name async for found in client.list_unknown_repositories()]

    assert in_a_thread(lambda: asyncio.run(use())) == ["base/all-3.11", "newer", "unwanted"]
    wishes = dict(UnknownRepository.objects.values_list("name", "wish"))
    assert wishes == {"newer": Wish.ADOPT, "unwanted": Wish.DELETE, "base/all-3.11": Wish.NONE}


def test_the_prompt_lists_drifts_and_shows_that_of_an_image(
    prompt_of: PromptOf, cast: Cast, lost: None
) -> None:
    run = prompt_of(cast.admin)
    row = run("drifts").stdout.splitlines()[1]
    assert row.split()[:3] == ["lost", "1", "lost"]
    assert SAID in row
    shown = run("show", "lost").stdout
    assert "Registry   The registry lost this image, and it cannot be pushed again" in shown
    assert f"Found      {SAID}" in shown
    assert "Reason     The layer libgomp1 would be another today. Rebuild it." in shown
    assert run.json("drifts")["drifts"][0]["codes"] == ["repository_missing"]
    Drift.objects.update(state=WorkState.SUCCEEDED)
    assert "holds every image as it was built" in run("drifts").stderr
    assert "Registry" not in run("show", "lost").stdout
    assert prompt_of(cast.manager)("drifts").exit_code == 2


def test_the_prompt_adopts_and_asks_before_it_deletes(prompt_of: PromptOf, cast: Cast) -> None:
    run = prompt_of(cast.admin)
    assert "The records know every repository" in run("repositories", "list").stderr
    for name in ("newer", "unwanted"):
        factories.make_unknown_repository(name)
    assert "newer is being adopted" in run("repositories", "adopt", "newer").stdout
    kept = run("repositories", "delete", "unwanted", stdin="n\n")
    assert (kept.exit_code, "cannot be undone" in kept.stderr) == (1, True)
    assert UnknownRepository.objects.get(name="unwanted").wish == Wish.NONE
    told = run("repositories", "delete", "unwanted", "--yes", "--json")
    assert json.loads(told.stdout)["repository"]["decision"] == "delete"
    rows = [line.split() for line in run("repositories", "list").stdout.splitlines()]
    assert [(row[0], *row[-2:]) for row in rows[1:]] == [
        ("newer", "being", "adopted"),
        ("unwanted", "being", "deleted"),
    ]
    assert run("repositories", "adopt", "nowhere").exit_code == 1
    refused = prompt_of(cast.manager)("repositories", "adopt", "newer")
    assert (refused.exit_code, "Only Organization Administrators" in refused.stderr) == (2, True)
