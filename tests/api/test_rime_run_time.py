"""What the public client's own generated classes send and read, of run-time information and of roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from images.models import BaseImage
from tests import factories
from tests.api.ask import Ask
from tests.api.public_client import NEWEST, PublicClient
from tests.cast import Cast
from workspaces.models import User

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SERIALIZED = """
from rime_sdk.swagger import swagger_client as api
info = api.RuntimeinfoRunTimeInfo(
    custom_image=api.RuntimeinfoCustomImageType(**image),
    resource_request=api.RuntimeinfoResourceRequest(
        ram_request_megabytes=4096, cpu_request_millicores="1500"
    ),
    explicit_errors=True,
    random_seed=42,
)
api.ApiClient().sanitize_for_serialization(info)
"""
EXTERNAL = """
image = {"custom_image": api.RuntimeinfoCustomImage(
    name="example.org/team/image:1.2", pull_secret=api.CustomImagePullSecret(name="team")
)}
"""


@pytest.fixture(scope="module")
def rime() -> Iterator[PublicClient]:
    client = PublicClient(NEWEST)
    client.run("from rime_sdk import Client\nfrom rime_sdk.swagger import swagger_client as api")
    yield client
    client.close()


def test_its_run_time_info_is_taken_as_it_is_serialized(
    rime: PublicClient, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("common", base=base)
    managed = rime.run(SERIALIZED, image={"managed_image_name": "common"})
    rime.run(EXTERNAL)
    external = rime.run(SERIALIZED)
    models = f"/v1/workspace/{cast.workspace.pk}/models"
    made = ask(cast.member, "POST", models, {"name": "One", "runTimeInfo": managed}).json()["model"]
    assert made["image"]["managedImageName"] == "common"
    assert made["runTimeInfo"] == {
        "resourceRequest": {"ramRequestMegabytes": "4096", "cpuRequestMillicores": "1500"},
        "explicitErrors": True,
        "randomSeed": "42",
    }
    default = f"/v1/workspace/{cast.workspace.pk}/default-image"
    found = ask(cast.manager, "PUT", default, {"runTimeInfo": external}).json()["defaultImage"]
    assert found["customImage"] == {
        "name": "example.org/team/image:1.2", "pullSecret": {"name": "team"},
    }  # fmt: skip


def test_it_reads_the_roles_of_its_token(
    rime: PublicClient, web: str, cast: Cast, token_for: Callable[[User], str]
) -> None:
    rime.run("client = Client(url, token)", url=web, token=token_for(cast.member))
    found = rime.run(
        "roles = api.UserApi(client._api_client).list_current_user_roles().roles; "
        "[(role.subject_type, role.subject_id, role.role) for role in roles]"
    )
    assert found == [
        ["SUBJECT_TYPE_ORGANIZATION", "", "ACTOR_ROLE_NONE"],
        ["SUBJECT_TYPE_WORKSPACE", str(cast.workspace.pk), "ACTOR_ROLE_USER"],
    ]
