"""The default image and `runTimeInfo` by REST, and the one address that runs ask."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from images.models import BaseImage, DefaultImage, ManagedImage, MLModel
from images.operations import swaps
from images.operations.default_image import set_default_image
from images.operations.swaps import ExternalChoice, ManagedChoice
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor

KEPT = {
    "resourceRequest": {"ramRequestMegabytes": "4096", "cpuRequestMillicores": "1500"},
    "explicitErrors": True,
    "randomSeed": "42",
}


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    return factories.make_image("common", base=base)


def address(cast: Cast) -> str:
    return f"/v1/workspace/{cast.workspace.pk}/default-image"


def reason(answer: Any) -> str:
    found: str = answer.json()["details"][0]["reason"]
    return found


@pytest.mark.slow
def test_it_is_set_read_and_cleared(ask: Ask, cast: Cast, image: ManagedImage) -> None:
    wanted = {"runTimeInfo": {"customImage": {"managedImageName": "common"}, **KEPT}}
    made = ask(cast.manager, "PUT", address(cast), wanted)
    assert made.status_code == 200
    found = ask(cast.viewer, "GET", address(cast)).json()["defaultImage"]
    assert found == made.json()["defaultImage"]
    assert (found["managedImageName"], found["standing"]) == ("common", "USABLE")
    assert found["runTimeInfo"] == KEPT
    assert ask(cast.manager, "DELETE", address(cast)).json() == {}
    for method, user in (("GET", cast.viewer), ("DELETE", cast.manager)):
        gone = ask(user, method, address(cast))
        assert (gone.status_code, reason(gone)) == (404, "workspace_has_no_default_image")


def run_image(ask: Ask, cast: Cast, model: object = "") -> Any:
    query = f"?model={model}" if model else ""
    return ask(cast.viewer, "GET", f"/v1/workspaces/{cast.workspace.pk}/image{query}")


@pytest.mark.slow
def test_runs_find_their_image_at_one_address(
    ask: Ask, cast: Cast, base: BaseImage, image: ManagedImage, settings: Any
) -> None:
    settings.REGISTRY_HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    own = factories.make_image("own", base=base)
    model = factories.make_model(cast.workspace, image=own, run_request={"random_seed": 7})
    follower = factories.make_model(cast.workspace)
    for answer in (run_image(ask, cast), run_image(ask, cast, follower.pk)):
        assert (answer.status_code, reason(answer)) == (404, "no_image_to_run_on")
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"))
    assert image.current_build is not None
    uri = f"{settings.REGISTRY_HOST}/rime-managed-images/common"
    expected = {
        "reference": f"{uri}@{image.current_build.manifest_digest}",
        "repoUri": uri,
        "digest": image.current_build.manifest_digest,
        "tag": "build-1",
        "source": "WORKSPACE_DEFAULT",
        "managedImageName": "common",
        "build": 1,
    }
    assert run_image(ask, cast).json() == expected
    assert run_image(ask, cast, follower.pk).json() == expected
    found = run_image(ask, cast, model.pk).json()
    assert (found["source"], found["managedImageName"]) == ("MODEL", "own")
    assert found["runTimeInfo"] == {"randomSeed": "7"}


@pytest.mark.slow
def test_an_external_image_is_answered_with_its_secret(ask: Ask, cast: Cast) -> None:
    external = {"name": "example.org/team/image:1.2", "pullSecret": "team"}
    body = {"runTimeInfo": {"customImage": {"customImage": external}}}
    assert ask(cast.manager, "PUT", address(cast), body).status_code == 200
    assert run_image(ask, cast).json() == {
        "reference": "example.org/team/image:1.2",
        "repoUri": "example.org/team/image",
        "digest": "",
        "tag": "1.2",
        "source": "WORKSPACE_DEFAULT",
        "pullSecret": {"name": "team"},
    }


@pytest.mark.slow
def test_a_model_of_another_workspace_is_not_there(
    ask: Ask, cast: Cast, image: ManagedImage
) -> None:
    elsewhere = factories.make_model(cast.other, image=image)
    for model in (elsewhere.pk, cast.workspace.pk):
        answer = run_image(ask, cast, model)
        assert (answer.status_code, reason(answer)) == (404, "not_found")
    assert run_image(ask, cast, "none").status_code == 400


@pytest.mark.slow
def test_the_address_costs_the_same_at_any_number_of_models(
    ask: Ask, cast: Cast, base: BaseImage, image: ManagedImage
) -> None:
    def queries(model: object) -> int:
        run_image(ask, cast, model)
        with CaptureQueriesContext(connection) as captured:
            assert run_image(ask, cast, model).status_code == 200
        # Read before the next request, which forgets them.
        return len(captured)

    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"))
    own, follower = (
        factories.make_model(cast.workspace, image=image), factories.make_model(cast.workspace),
    )  # fmt: skip
    # Token with its user and workspace, roles, workspace, model, its own image, the default.
    assert [queries(own.pk), queries(follower.pk)] == [6, 6]
    for other in factories.make_images([f"other-{n}" for n in range(30)], base=base):
        factories.make_model(cast.workspace, image=other)
    assert [queries(own.pk), queries(follower.pk)] == [6, 6]


@pytest.mark.slow
def test_a_model_is_made_and_changed_with_run_time_info(
    ask: Ask, cast: Cast, image: ManagedImage
) -> None:
    info = {"customImage": {"managedImageName": "common"}, **KEPT}
    models = f"/v1/workspace/{cast.workspace.pk}/models"
    made = ask(cast.member, "POST", models, {"name": "Churn", "runTimeInfo": info}).json()["model"]
    assert (made["image"]["managedImageName"], made["imageSource"]) == ("common", "MODEL")
    assert made["runTimeInfo"] == KEPT
    path = f"/v1/models/{made['modelId']['uuid']}"
    # Numbers are taken as such, what is absent stays, and the image that it has is no conflict.
    sent = {"customImage": info["customImage"], "randomSeed": 43, "resourceRequest": {}}
    changed = ask(cast.member, "PATCH", path, {"runTimeInfo": sent}).json()["model"]
    assert changed["runTimeInfo"] == {"explicitErrors": True, "randomSeed": "43"}
    assert changed["image"]["id"] == made["image"]["id"]
    external = {"customImage": {"customImage": "example.org/team/image:1"}}
    changed = ask(cast.member, "PATCH", path, {"runTimeInfo": external}).json()["model"]
    assert changed["image"]["customImage"] == {"name": "example.org/team/image:1"}
    assert changed["runTimeInfo"] == {"explicitErrors": True, "randomSeed": "43"}
    # A change in the console, which knows nothing of it, leaves it.
    changed = ask(cast.member, "PATCH", path, {"description": "It scores."}).json()["model"]
    assert changed["runTimeInfo"] == {"explicitErrors": True, "randomSeed": "43"}
    cleared = {"explicitErrors": False, "randomSeed": "0"}
    changed = ask(cast.member, "PATCH", path, {"runTimeInfo": cleared}).json()["model"]
    assert changed["runTimeInfo"] == {"explicitErrors": False}


@pytest.mark.slow
def test_a_model_follows_the_default_again(ask: Ask, cast: Cast, image: ManagedImage) -> None:
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common", 1))
    model = factories.make_model(cast.workspace, image=image)
    found = ask(cast.member, "DELETE", f"/v1/models/{model.pk}/image").json()["model"]
    assert found["imageSource"] == "WORKSPACE_DEFAULT"
    assert "image" not in found
    listed = ask(cast.viewer, "GET", f"/v1/workspace/{cast.workspace.pk}/models").json()["models"]
    assert [item["imageSource"] for item in listed] == ["WORKSPACE_DEFAULT"]


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"agentId": "1"}, "agentId"),
        ({"resourceRequest": {"gpus": 1}}, "gpus"),
        ({"resourceRequest": {"ramRequestMegabytes": 0}}, "ramRequestMegabytes"),
        ({"resourceRequest": {"cpuRequestMillicores": "-5"}}, "cpuRequestMillicores"),
        ({"randomSeed": "soon"}, "randomSeed"),
        ({"randomSeed": str(2**63)}, "randomSeed"),
        ({"explicitErrors": "yes"}, "explicitErrors"),
        ({"customImage": {}}, "one of the two"),
        ({"customImage": {"managedImageName": "common", "customImage": "a"}}, "one of the two"),
    ],
)
@pytest.mark.slow
def test_nothing_of_run_time_info_is_swallowed(
    ask: Ask, cast: Cast, image: ManagedImage, info: Any, told: str
) -> None:
    models = f"/v1/workspace/{cast.workspace.pk}/models"
    answer = ask(cast.member, "POST", models, {"name": "Churn", "runTimeInfo": info})
    assert answer.status_code == 400
    assert told in answer.json()["message"]
    assert not MLModel.objects.exists()


def test_an_image_that_is_not_managed_here_is_refused_by_its_own_reason(
    ask: Ask, cast: Cast, settings: Any
) -> None:
    def refused(name: str) -> Any:
        body = {"runTimeInfo": {"customImage": {"customImage": {"name": name}}}}
        return ask(cast.manager, "PUT", address(cast), body)

    answer = refused("https://example.org/image")
    assert (answer.status_code, reason(answer)) == (400, "invalid")
    settings.ALLOW_EXTERNAL_CUSTOM_IMAGES = False
    answer = refused("example.org/image:1")
    assert (answer.status_code, reason(answer)) == (409, "external_images_not_allowed")
    assert not DefaultImage.objects.exists()


@pytest.mark.slow
def test_where_an_image_is_used_names_workspaces(ask: Ask, cast: Cast, image: ManagedImage) -> None:
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"))
    set_default_image(Actor(cast.admin), cast.other, ManagedChoice("common"))
    factories.make_model(cast.workspace)
    found = ask(cast.member, "GET", "/v1/images/common/models").json()
    workspace = {
        "workspaceId": {"uuid": str(cast.workspace.pk)}, "name": "Workspace 1", "followers": 1,
    }  # fmt: skip
    assert (found["defaults"], found["otherDefaults"]) == ([workspace], 1)
    swaps.swap_image(Actor(cast.member), MLModel.objects.get(), ManagedChoice("common"))
    found = ask(cast.member, "GET", "/v1/images/common/models").json()
    assert found["defaults"][0]["followers"] == 0


@pytest.mark.slow
def test_a_firewall_of_earlier_clients_runs_on_the_default_too(
    ask: Ask, cast: Cast, image: ManagedImage
) -> None:
    follower, outside = (factories.make_model(cast.workspace) for _ in range(2))
    swaps.swap_image(Actor(cast.member), outside, ExternalChoice("example.org/team/image:1"))
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"))
    query = f"firewallIds={follower.pk}&firewallIds={outside.pk}"
    found = ask(cast.viewer, "GET", f"/v1/firewall?{query}").json()["firewalls"]
    assert found[0]["managedImage"]["name"] == "common"
    assert "managedImage" not in found[1]
