"""Run-time settings and descriptions by REST: altered one by one, refused with the field of the problem."""

from __future__ import annotations

from typing import Any

import pytest

from images.models import BaseImage, ManagedImage
from images.run_time.settings import RunTime
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast

NOTHING: dict[str, Any] = {"env": {}, "workingDir": "", "user": "", "entrypoint": [], "labels": {}}
GIVEN = {
    "env": {"OMP_NUM_THREADS": "4"},
    "workingDir": "/app",
    "entrypoint": ["python", "-m", "serve"],
    "labels": {"com.example.team": "pricing"},
}


def test_an_image_is_created_with_settings(ask: Ask, cast: Cast, base: BaseImage) -> None:
    wanted = {"name": "churn", "pipRequirements": [{"name": "six"}], "runTime": GIVEN}
    answer = ask(cast.member, "POST", "/v1/images", wanted)
    assert answer.status_code == 200, answer.content
    assert answer.json()["image"]["runTime"] == {**NOTHING, **GIVEN}
    assert ManagedImage.objects.get().builds.get().spec.run_time.env == (("OMP_NUM_THREADS", "4"),)


@pytest.mark.slow
def test_a_setting_that_is_not_named_stays_and_an_empty_one_ends(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base, created_by=cast.member)
    assert ask(cast.member, "GET", "/v1/images/churn").json()["image"]["runTime"] == NOTHING
    ManagedImage.objects.update(run_time=RunTime(user="7", working_dir="/app").as_json())
    answer = ask(
        cast.member,
        "POST",
        "/v1/images/churn:preview",
        {"runTime": {"workingDir": "", "env": {"A": "1"}}},
    )
    assert answer.status_code == 200, answer.content
    assert answer.json()["alteration"]["runTime"] == {**NOTHING, "user": "7", "env": {"A": "1"}}
    image.refresh_from_db()
    assert image.spec.run_time.working_dir == "/app"


@pytest.mark.parametrize(
    ("run_time", "field"),
    [
        ({"env": {"DB_PASSWORD": "x"}}, "runTime.env"),
        ({"env": {"PATH": "/x"}}, "runTime.env"),
        ({"workingDir": "app"}, "runTime.workingDir"),
        ({"user": "Root"}, "runTime.user"),
        ({"entrypoint": ["", "x"]}, "runTime.entrypoint"),
        ({"labels": {"org.opencontainers.image.title": "x"}}, "runTime.labels"),
    ],
)
def test_what_cannot_be_a_setting_is_refused_with_its_field(
    ask: Ask, cast: Cast, base: BaseImage, run_time: dict[str, Any], field: str
) -> None:
    wanted = {"name": "churn", "pipRequirements": [{"name": "six"}], "runTime": run_time}
    answer = ask(cast.member, "POST", "/v1/images", wanted)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)
    assert not ManagedImage.objects.exists()


@pytest.mark.slow
def test_a_description_changes_without_a_build(cast: Cast, ask: Ask, base: BaseImage) -> None:
    factories.make_image("churn", base=base, created_by=cast.member)
    answer = ask(cast.member, "POST", "/v1/images/churn:describe", {"description": "It scores."})
    assert answer.json()["image"]["description"] == "It scores."
    wrong = ask(cast.member, "POST", "/v1/images/churn:describe", {"description": "a\nb"})
    assert wrong.status_code == 400
    made = ask(
        cast.member, "POST", "/v1/images",
        {"name": "new", "pipRequirements": [{"name": "six"}], "description": "New."},
    ).json()["image"]  # fmt: skip
    assert made["description"] == "New."
    assert ManagedImage.objects.get(name="new").builds.get().description == "New."


@pytest.mark.slow
def test_a_channel_is_pointed_at_a_build(cast: Cast, ask: Ask, base: BaseImage) -> None:
    image = factories.make_image("churn", base=base, created_by=cast.member)
    path = "/v1/images/churn/channels/stable"
    assert ask(cast.member, "PUT", path, {"build": 1}).status_code == 409
    ManagedImage.objects.filter(pk=image.pk).update(tags_may_move=True)
    answer = ask(cast.member, "PUT", path, {"build": 1})
    assert answer.json()["image"]["tags"] == [
        {"name": "stable", "build": 1, "pushed": False, "error": ""}
    ]
    wrong = ask(cast.member, "PUT", "/v1/images/churn/channels/build-1", {"build": 1})
    assert (wrong.status_code, wrong.json()["details"][0]["field"]) == (400, "channel")
