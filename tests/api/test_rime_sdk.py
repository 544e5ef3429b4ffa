"""The public client, unmodified, against a served instance: every call on managed images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images.models import BaseImage, BuildHost, ManagedImage, Status
from tests import factories
from tests.conftest import Cast, LocalAWS
from tests.test_main_job import build_now
from workspaces.models import ApiToken, User

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from rime_sdk import Client

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def connect(web: str, token_for: Callable[[User], str]) -> Callable[[User], Client]:
    return lambda user: Client(web, token_for(user))


@pytest.mark.network
def test_an_image_is_created_waited_for_found_and_deleted(
    connect: Callable[[User], Client],
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    capsys: pytest.CaptureFixture[str],
) -> None:
    member = connect(cast.member)
    job = member.create_managed_image(
        "sdk-made", [member.pip_requirement("pyjokes", "0.8.3")], python_version="3.11"
    )
    assert "sdk-made" in str(job)
    assert job.get_status(verbose=False)["status"] == "STATUS_BUILDING_FIRST_TIME"
    assert member.has_managed_image("sdk-made")
    assert not member.has_managed_image("sdk-made", check_status=True)
    build_now(registry, ManagedImage.objects.get(name="sdk-made"))
    capsys.readouterr()
    status = job.get_status(wait_until_finish=True, poll_rate_sec=0.1)
    assert status["status"] == "STATUS_READY"
    printed = capsys.readouterr().out
    assert "Querying for Managed Image 'sdk-made':" in printed
    assert "Status: STATUS_READY, Poll Count: 0" in printed
    assert member.has_managed_image("sdk-made", check_status=True)
    image = member.get_managed_image("sdk-made")
    assert image["pip_requirements"] == [{"name": "pyjokes", "version_specifier": "==0.8.3"}]
    assert {"name": "pyjokes", "version": "0.8.3"} in image["pip_libraries"]
    assert image["python_version"] == "3.11"
    assert image["role_type"] == "ROLE_TYPE_USER_DEFINED"
    assert image["repo_uri"].endswith("rime-managed-images/sdk-made")
    capsys.readouterr()
    with pytest.raises(ValueError, match="Forbidden"):
        member.delete_managed_image("sdk-made")
    # Two clients in one process share the key that was given last, so the administrator comes after.
    connect(cast.admin).delete_managed_image("sdk-made")
    assert "Managed Image sdk-made successfully deleted" in capsys.readouterr().out
    assert not member.has_managed_image("sdk-made")


def test_os_packages_come_as_the_client_sends_them(
    connect: Callable[[User], Client], cast: Cast, base: BaseImage
) -> None:
    BuildHost.objects.create(name="able")
    client = connect(cast.member)
    client.create_managed_image(
        "with-os",
        [client.pip_requirement("numpy", ">=2")],
        [client.os_requirement("texlive", "2022.20230122-3"), client.os_requirement("vim")],
    )
    image = ManagedImage.objects.get(name="with-os")
    assert image.os_packages == [
        {"name": "texlive", "version": "2022.20230122-3"},
        {"name": "vim", "version": ""},
    ]
    assert image.created_in == cast.workspace
    assert image.created_by == cast.member


def test_forty_five_images_come_in_pages_and_filters_mean_all_of_them(
    connect: Callable[[User], Client], cast: Cast, base: BaseImage
) -> None:
    for number in range(45):
        libraries = {"numpy": "2.4.6", "Scikit_Learn": "1.9" if number % 2 else "1.8"}
        if number % 3 == 0:
            libraries["catboost"] = "1.0.3"
        factories.make_image(f"image-{number:02}", base=base, libraries=libraries)
    client = connect(cast.viewer)
    names = [image["name"] for image in client.list_managed_images()]
    assert names == [f"image-{number:02}" for number in range(45)]

    def found(*filters: Any) -> list[str]:
        return [image["name"] for image in client.list_managed_images(list(filters))]

    only = client.pip_library_filter
    assert found(only("numpy")) == names
    assert found(only("scikit-learn", "1.9.0")) == names[1::2]
    assert found(only("catboost"), only("SCIKIT.learn", "1.9")) == names[3::6]
    assert found(only("catboost", "9.9")) == []
    assert found(only("nothing-like-it")) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.get_managed_image("nobody"), "Not Found: There is no managed image named"),
        (lambda c: c.delete_managed_image("nobody"), "image with name nobody does not exist"),
        (
            lambda c: c.create_managed_image("taken", [c.pip_requirement("numpy")]),
            "Conflict: There is a managed image named taken already",
        ),
        (
            lambda c: c.create_managed_image("bad", [c.pip_requirement("numpy", "=!1")]),
            "Bad Request: Item 1: '=!1' is not a version or a version specifier",
        ),
        (
            lambda c: c.create_managed_image("Bad Name", [c.pip_requirement("numpy")]),
            "Bad Request: 'Bad Name' cannot be an image's name",
        ),
        (
            lambda c: c.create_managed_image("b2", [c.pip_requirement("x")], python_version="2.7"),
            "provides no base image of type all with Python 2.7",
        ),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    call: Callable[[Client], object],
    words: str,
    connect: Callable[[User], Client],
    cast: Cast,
    base: BaseImage,
) -> None:
    factories.make_image("taken", base=base)
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(".", r"\.")):
        call(connect(cast.admin))


def test_an_expired_token_is_told(web: str, cast: Cast, token_for: Callable[[User], str]) -> None:
    secret = token_for(cast.member)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    with pytest.raises(ValueError, match="Your API token is either invalid or expired"):
        Client(web, secret)


def test_an_outdated_image_ends_the_waiting(
    connect: Callable[[User], Client], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("old", base=base)
    ManagedImage.objects.update(status=Status.OUTDATED)
    client = connect(cast.member)
    assert client.has_managed_image("old")
    assert not client.has_managed_image("old", check_status=True)
