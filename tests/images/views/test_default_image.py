"""Settings → General: the default image is seen by all members and chosen by administrators."""

from __future__ import annotations

import pytest
from django.urls import reverse

from images.models import BaseImage, DefaultImage, ManagedImage
from images.operations.default_image import set_default_image
from images.operations.swaps import ManagedChoice
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import User


@pytest.fixture(autouse=True)
def image(base: BaseImage) -> ManagedImage:
    return factories.make_image("common", base=base)


def page(cast: Cast, user: User, name: str = "settings") -> str:
    answer = cast.client(user).get(reverse(name, args=[cast.workspace.pk]))
    return " ".join(answer.content.decode().split())


def post(cast: Cast, **fields: str) -> int:
    url = reverse("default_image", args=[cast.workspace.pk])
    return cast.client(cast.manager).post(url, fields).status_code


@pytest.mark.slow
def test_an_administrator_chooses_it_and_everybody_sees_it(cast: Cast) -> None:
    assert "Choose an image" in page(cast, cast.manager)
    assert post(cast, image="common") == 302
    assert DefaultImage.objects.get().label == "common"
    shown = page(cast, cast.viewer)
    assert ">common</a>" in shown
    assert "Only administrators of this workspace choose its default image." in shown
    assert "Clear the default" in page(cast, cast.manager, "default_image")
    assert post(cast, clear="1") == 302
    assert not DefaultImage.objects.exists()


@pytest.mark.parametrize("typed", ["common:build-1", "common@1"])
@pytest.mark.slow
def test_a_build_is_pinned_by_its_tag(cast: Cast, typed: str) -> None:
    assert post(cast, image=typed) == 302
    assert DefaultImage.objects.get().build_number == 1


def test_an_external_image_is_chosen_by_its_reference(cast: Cast) -> None:
    assert post(cast, reference="example.org/team/image:1", pull_secret="team") == 302
    assert DefaultImage.objects.get().external_reference == "example.org/team/image:1"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"image": "absent"},
        {"image": "common:build-9"},
        {"image": "common", "reference": "example.org/a:1"},
        {"reference": "not a reference"},
        {"reference": "example.org/a:1", "pull_secret": "Not One"},
    ],
)
@pytest.mark.slow
def test_what_cannot_be_the_default_is_told_at_its_field(
    cast: Cast, fields: dict[str, str]
) -> None:
    assert post(cast, **fields) == 422
    assert not DefaultImage.objects.exists()


@pytest.mark.slow
def test_a_new_model_starts_with_it(cast: Cast) -> None:
    new, fields = reverse("new_model", args=[cast.workspace.pk]), {"python_version": "3.11"}
    client = cast.client(cast.member)
    led = client.post(new, {"name": "One", **fields})["Location"]
    assert led.endswith("/swap")
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"))
    led = client.post(new, {"name": "Two", **fields})["Location"]
    shown = " ".join(client.get(led).content.decode().split())
    assert ">common</a>" in shown
    assert "default image of Workspace 1" in shown
    assert "No image yet" not in shown
    listed = client.get(reverse("models", args=[cast.workspace.pk])).content.decode()
    assert listed.count("default image</span>") == 2


@pytest.mark.slow
def test_the_pages_of_an_image_say_whose_default_it_is(cast: Cast) -> None:
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"))
    shown = cast.client(cast.member).get(
        reverse("image_models", args=[cast.workspace.pk, "common"])
    )
    assert "Default of workspaces" in shown.content.decode()
