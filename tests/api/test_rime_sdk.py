"""The newest public client, unmodified, against a served instance: every call on managed images.

tests/api/test_public_clients.py has the other versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from images.models import BaseImage, BuildHost, ManagedImage, Status
from tests import factories
from tests.api.public_client import NEWEST, PublicClient, Raised
from tests.builds import build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS
from workspaces.models import ApiToken, User

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# Two clients in one process share the key that was given last, so a test connects as one after the other.
Connect = Callable[[User], PublicClient]


@pytest.fixture(scope="module")
def rime() -> Iterator[PublicClient]:
    client = PublicClient(NEWEST)
    client.run("from rime_sdk import Client")
    yield client
    client.close()


@pytest.fixture
def connect(rime: PublicClient, web: str, token_for: Callable[[User], str]) -> Connect:
    """Has the name `client` in the public client's process stand for a user's."""

    def connected(user: User) -> PublicClient:
        rime.run("client = Client(url, token)", url=web, token=token_for(user))
        return rime

    return connected


def test_the_client_is_the_pinned_version_and_brings_nothing_of_ours(rime: PublicClient) -> None:
    version = rime.run("from importlib.metadata import version; version('rime-sdk')")
    assert f"rime-sdk {version}" == NEWEST
    with pytest.raises(Raised, match="ModuleNotFoundError: No module named 'django'"):
        rime.run("import django")


@pytest.mark.network
def test_an_image_is_created_waited_for_found_and_deleted(
    connect: Connect, cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    client = connect(cast.member)
    client.run(
        "job = client.create_managed_image("
        "'sdk-made', [client.pip_requirement('pyjokes', '0.8.3')], python_version='3.11')"
    )
    assert "sdk-made" in client.run("str(job)")
    status = client.run("job.get_status(verbose=False)")
    assert status["status"] == "STATUS_BUILDING_FIRST_TIME"
    assert client.run("client.has_managed_image('sdk-made')")
    assert not client.run("client.has_managed_image('sdk-made', check_status=True)")
    build_now(registry, ManagedImage.objects.get(name="sdk-made"))
    status = client.run("job.get_status(wait_until_finish=True, poll_rate_sec=0.1)")
    assert status["status"] == "STATUS_READY"
    assert "Querying for Managed Image 'sdk-made':" in client.printed
    assert "Status: STATUS_READY, Poll Count: 0" in client.printed
    assert client.run("client.has_managed_image('sdk-made', check_status=True)")
    image = client.run("client.get_managed_image('sdk-made')")
    assert image["pip_requirements"] == [{"name": "pyjokes", "version_specifier": "==0.8.3"}]
    assert {"name": "pyjokes", "version": "0.8.3"} in image["pip_libraries"]
    assert image["python_version"] == "3.11"
    assert image["role_type"] == "ROLE_TYPE_USER_DEFINED"
    assert image["repo_uri"].endswith("rime-managed-images/sdk-made")
    with pytest.raises(Raised, match="ValueError: Forbidden"):
        client.run("client.delete_managed_image('sdk-made')")
    client = connect(cast.admin)
    client.run("client.delete_managed_image('sdk-made')")
    assert "Managed Image sdk-made successfully deleted" in client.printed
    assert not client.run("client.has_managed_image('sdk-made')")


def test_os_packages_come_as_the_client_sends_them(
    connect: Connect, cast: Cast, base: BaseImage
) -> None:
    BuildHost.objects.create(name="able")
    connect(cast.member).run(
        "client.create_managed_image('with-os', [client.pip_requirement('numpy', '>=2')],"
        "[client.os_requirement('texlive', '2022.20230122-3'), client.os_requirement('vim')])\n"
        "None"
    )
    image = ManagedImage.objects.get(name="with-os")
    assert image.os_packages == [
        {"name": "texlive", "version": "2022.20230122-3"},
        {"name": "vim", "version": ""},
    ]
    assert image.created_in == cast.workspace
    assert image.created_by == cast.member


def test_forty_five_images_come_in_pages_and_filters_mean_all_of_them(
    connect: Connect, cast: Cast, base: BaseImage
) -> None:
    for number in range(45):
        libraries = {"numpy": "2.4.6", "Scikit_Learn": "1.9" if number % 2 else "1.8"}
        if number % 3 == 0:
            libraries["catboost"] = "1.0.3"
        factories.make_image(f"image-{number:02}", base=base, libraries=libraries)
    client = connect(cast.viewer)
    names = client.run("[image['name'] for image in client.list_managed_images()]")
    assert names == [f"image-{number:02}" for number in range(45)]

    def found(*filters: tuple[str, ...]) -> object:
        return client.run(
            "filters = [client.pip_library_filter(*library) for library in libraries]\n"
            "[image['name'] for image in client.list_managed_images(filters)]",
            libraries=filters,
        )

    assert found(("numpy",)) == names
    assert found(("scikit-learn", "1.9.0")) == names[1::2]
    assert found(("catboost",), ("SCIKIT.learn", "1.9")) == names[3::6]
    assert found(("catboost", "9.9")) == []
    assert found(("nothing-like-it",)) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("client.get_managed_image('nobody')", "Not Found: There is no managed image named"),
        ("client.delete_managed_image('nobody')", "image with name nobody does not exist"),
        (
            "client.create_managed_image('taken', [client.pip_requirement('numpy')])",
            "Conflict: There is a managed image named taken already",
        ),
        (
            "client.create_managed_image('bad', [client.pip_requirement('numpy', '=!1')])",
            "Bad Request: Item 1: '=!1' is not a version or a version specifier",
        ),
        (
            "client.create_managed_image('Bad Name', [client.pip_requirement('numpy')])",
            "Bad Request: 'Bad Name' cannot be an image's name",
        ),
        (
            "client.create_managed_image('b2', [client.pip_requirement('x')], python_version='2.7')",
            "provides no base image of type all with Python 2.7",
        ),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    code: str, words: str, connect: Connect, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("taken", base=base)
    with pytest.raises(
        Raised, match="ValueError: .*" + words.replace("(", r"\(").replace(".", r"\.")
    ):
        connect(cast.admin).run(code)


def test_an_expired_token_is_told(
    rime: PublicClient, web: str, cast: Cast, token_for: Callable[[User], str]
) -> None:
    secret = token_for(cast.member)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    with pytest.raises(Raised, match="Your API token is either invalid or expired"):
        rime.run("Client(url, token)", url=web, token=secret)


def test_an_outdated_image_ends_the_waiting(connect: Connect, cast: Cast, base: BaseImage) -> None:
    factories.make_image("old", base=base)
    ManagedImage.objects.update(status=Status.OUTDATED)
    client = connect(cast.member)
    assert client.run("client.has_managed_image('old')")
    assert not client.run("client.has_managed_image('old', check_status=True)")
