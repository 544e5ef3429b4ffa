"""Our SDK: what it sends, when it tries again, what it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from ri_platform_sdk import (
    AsyncClient,
    BuildFailed,
    Client,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Image,
    InvalidRequest,
    NotFound,
    TooManyRequests,
    Unauthorized,
    WaitTimeout,
)
from ri_platform_sdk.requirements import wire_requirements

from images.models import BaseImage, ManagedImage, Status
from tests import factories
from tests.cast import Cast
from tests.sdk.prompt import Instance, in_a_thread

# --- requirements ---------------------------------------------------------------------------------------


def test_requirements_come_in_every_form() -> None:
    given: list[Any] = ["numpy>=2", ("pandas", "3.0.1"), Client.pip_requirement("six")]
    assert [item["versionSpecifier"] for item in wire_requirements(given)] == [">=2", "3.0.1", ""]
    for wrong, sentence in (
        ("numpy", "as a list"),
        (Path("requirements.txt"), r"files=\[…\]"),
        (["a @ https://example.org/a.whl"], "is a URL"),
        (["tomli; python_version < '3.11'"], "has a marker"),
        (["???"], "is not a requirement"),
    ):
        with pytest.raises(InvalidRequest, match=sentence):
            wire_requirements(wrong)  # type: ignore[arg-type]


# --- retries --------------------------------------------------------------------------------------------


class Answers:
    """A server that gives these answers in turn; an exception is a connection that breaks."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, headers, body = answer
        return httpx.Response(status, headers=headers, json=body)


@pytest.fixture
def against(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers], Client]:
    slept: list[float] = []
    monkeypatch.setattr("ri_platform_sdk.transport.time.sleep", slept.append)

    def make(answers: Answers) -> Client:
        client = Client("http://test", "key")
        client._transport._http = httpx.Client(
            base_url="http://test", transport=httpx.MockTransport(answers)
        )
        answers.slept = slept  # type: ignore[attr-defined]
        return client

    return make


ERROR = {"code": 8, "message": "Too many.", "details": [{"reason": "too_many", "field": ""}]}


@pytest.mark.slow
def test_a_busy_server_is_asked_again_when_it_says(against: Callable[[Answers], Client]) -> None:
    answers = Answers((429, {"Retry-After": "7"}, ERROR), (503, {}, ERROR), (200, {}, {}))
    against(answers).delete_managed_image("x")
    assert answers.asked == 3
    assert answers.slept[0] == 7  # type: ignore[attr-defined]
    busy = Answers(*[(429, {}, ERROR)] * 4)
    with pytest.raises(TooManyRequests, match="Too many"):
        against(busy).get_managed_image("x")
    assert busy.asked == 4


@pytest.mark.slow
def test_what_may_have_happened_is_not_asked_twice(against: Callable[[Answers], Client]) -> None:
    broken = Answers(httpx.ReadError("cut"))
    with pytest.raises(ConnectionFailed):
        against(broken).create_managed_image("x", ["numpy"])
    assert broken.asked == 1
    never_made = Answers(httpx.ConnectError("refused"), (409, {}, ERROR))
    with pytest.raises(Conflict):
        against(never_made).create_managed_image("x", ["numpy"])
    looking = Answers(httpx.ReadError("cut"), (404, {}, ERROR))
    assert against(looking).has_managed_image("x") is False


def test_an_answer_that_is_no_json_is_an_error_all_the_same(
    against: Callable[[Answers], Client],
) -> None:
    client = against(Answers())
    client._transport._http = httpx.Client(
        base_url="http://test",
        transport=httpx.MockTransport(lambda request: httpx.Response(502, text="<html>")),
    )
    with pytest.raises(Exception, match="The server answered 502"):
        client.get_managed_image("x")


# --- against a served instance ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_refusals_are_typed_and_carry_the_servers_sentence(
    instance: Instance, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("taken", base=base)
    with Client(instance.domain, instance.token_for(cast.member)) as client:
        with pytest.raises(NotFound) as missing:
            client.get_managed_image("nobody")
        assert (missing.value.status, missing.value.reason) == (404, "not_found")
        with pytest.raises(Conflict, match="images are shared by all workspaces"):
            client.create_managed_image("taken", ["numpy"])
        with pytest.raises(InvalidRequest) as bad:
            client.create_managed_image("x1", [("numpy", "=!1")])
        assert bad.value.field == "pip_requirements"
        with pytest.raises(Forbidden, match="Only Organization Administrators"):
            client.delete_managed_image("taken")
    with pytest.raises(Unauthorized), Client(instance.domain, "ri_wrong") as stranger:
        stranger.get_managed_image("taken")
    with pytest.raises(ConnectionFailed), Client("http://127.0.0.1:9", "x") as nowhere:
        nowhere.create_managed_image("x1", ["numpy"])


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_the_reason(instance: Instance, cast: Cast, base: BaseImage) -> None:
    factories.make_image("broken", base=base, status=Status.FAILED)
    factories.make_image(
        "slow", base=base, created_in=cast.workspace, status=Status.BUILDING_FIRST_TIME
    )
    seen: list[Image] = []
    with Client(instance.domain, instance.token_for(cast.member)) as client:
        with pytest.raises(BuildFailed, match="nosuchlib was not found") as failed:
            client.wait_for_managed_image("broken", on_update=seen.append)
        assert failed.value.reason == "resolution_failed"
        assert failed.value.hint == "Check the spelling of the library's name."
        assert seen[0].latest_build is not None
        with pytest.raises(WaitTimeout):
            client.wait_for_managed_image("slow", timeout=0.1, progress=False)
        client.cancel_build("slow")
        with pytest.raises(BuildFailed, match="was cancelled"):
            client.wait_for_managed_image("slow")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_client_does_the_same(
    instance: Instance, cast: Cast, base: BaseImage
) -> None:
    for number in range(5):
        factories.make_image(f"image-{number}", base=base, libraries={"numpy": "2.4.6"})
    secret = instance.token_for(cast.admin)

    async def use() -> list[str]:
        async with AsyncClient(instance.domain, secret) as client:
            names = [
                image.name
                async for image in client.list_managed_images(["numpy==2.4.6"], page_size=2)
            ]
            assert await client.has_managed_image("image-0", check_status=True)
            assert (await client.match_managed_images(["numpy>=3"])) == ()
            (first, *_) = await client.match_managed_images(["numpy", "torch"])
            assert first.missing[0].requirement == "torch"
            altered = await client.update_managed_image("image-0", ["numpy<3"])
            assert altered.status == "REBUILDING"
            await client.cancel_build("image-0")
            ready = await client.wait_for_managed_image("image-1")
            assert [build.number for build in await client.list_builds("image-1")] == [1]
            assert "numpy" in await client.get_lock(ready.name)
            await client.delete_managed_image("image-4")
            return names

    assert in_a_thread(lambda: asyncio.run(use())) == [f"image-{number}" for number in range(5)]
    assert not ManagedImage.objects.existing().filter(name="image-4").exists()


# --- models -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_models_image_is_swapped_and_resolved(
    instance: Instance, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("new", base=base)
    old = factories.make_image("old", base=base)
    made = factories.make_model(cast.workspace, image=old, name="Churn")
    members, managers = instance.token_for(cast.member), instance.token_for(cast.manager)

    def use() -> None:
        with Client(instance.domain, members) as client:
            (model,) = client.list_models(str(cast.workspace.pk))
            assert (model.id, model.name, model.image) == (str(made.pk), "Churn", "old")
            assert client.swap_model_image(model.id, "new", build=1).image == "new build 1"
            found = client.resolve_model_image(model.id)
            assert (found.image, found.build) == ("new", 1)
            assert found.reference.endswith(f"/rime-managed-images/new@{found.digest}")
            with pytest.raises(NotFound):
                client.swap_model_image(model.id, "nothing")
            with pytest.raises(NotFound):
                client.resolve_workspace_image(str(cast.workspace.pk))

    async def use_async() -> None:
        async with AsyncClient(instance.domain, managers) as client:
            (model,) = await client.list_models(str(cast.workspace.pk))
            assert (await client.swap_model_image(model.id, "old")).image == "old"
            assert (await client.resolve_model_image(model.id)).image == "old"
            workspace = str(cast.workspace.pk)
            assert (
                await client.set_default_image(workspace, "new", build=1)
            ).image == "new build 1"
            assert (await client.swap_model_to_default(model.id)).image == ""
            found = await client.resolve_workspace_image(workspace, model.id)
            assert (found.image, found.tag, found.source) == ("new", "build-1", "WORKSPACE_DEFAULT")
            assert (await client.get_default_image(workspace)).standing == "USABLE"
            await client.clear_default_image(workspace)

    in_a_thread(use)
    in_a_thread(lambda: asyncio.run(use_async()))
