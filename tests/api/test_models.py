"""What a model runs on right now, as whatever runs it asks by REST."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images.jobs import upgrades
from images.models import BaseImage, Build, BuildReason, ManagedImage, MLModel, Status
from images.operations import removal, swaps
from images.operations.swaps import ExternalChoice, ManagedChoice
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    return factories.make_image("churn", base=base)


@pytest.fixture
def model(cast: Cast, image: ManagedImage) -> MLModel:
    return factories.make_model(cast.workspace, image=image, name="Churn")


def resolved(ask: Ask, cast: Cast, model: MLModel) -> Any:
    return ask(cast.viewer, "GET", f"/v1/models/{model.pk}/image", {})


def reason(answer: Any) -> str:
    found: str = answer.json()["details"][0]["reason"]
    return found


@pytest.mark.slow
def test_a_managed_image_is_answered_by_digest(
    ask: Ask, cast: Cast, model: MLModel, image: ManagedImage, settings: Any
) -> None:
    settings.REGISTRY_HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    answer = resolved(ask, cast, model).json()
    assert image.current_build is not None
    assert answer == {
        "reference": "123456789012.dkr.ecr.us-east-1.amazonaws.com/rime-managed-images/churn"
        f"@{image.current_build.manifest_digest}",
        "repoUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/rime-managed-images/churn",
        "digest": image.current_build.manifest_digest,
        "tag": "build-1",
        "source": "MODEL",
        "managedImageName": "churn",
        "build": 1,
    }


@pytest.mark.slow
def test_a_pinned_model_stays_on_its_build(
    ask: Ask, cast: Cast, model: MLModel, image: ManagedImage, base: BaseImage
) -> None:
    swaps.swap_image(Actor(cast.member), model, ManagedChoice("churn", 1))
    later = factories.make_build(
        image, base, Status.READY, number=2, manifest_digest=factories.digest("later")
    )
    ManagedImage.objects.update(current_build=later)
    assert resolved(ask, cast, model).json()["build"] == 1


@pytest.mark.slow
def test_an_external_image_is_answered_as_it_is_with_its_pull_secret(
    ask: Ask, cast: Cast, model: MLModel
) -> None:
    digest = factories.digest("external")
    choice = ExternalChoice(f"registry.example.com/churn@{digest}", "team-registry")
    swaps.swap_image(Actor(cast.member), model, choice)
    assert resolved(ask, cast, model).json() == {
        "reference": choice.reference,
        "repoUri": "registry.example.com/churn",
        "digest": digest,
        "source": "MODEL",
        "pullSecret": {"name": "team-registry"},
    }


@pytest.mark.slow
def test_while_the_first_build_goes_on_it_says_when_to_ask_again(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    model = factories.make_model(cast.workspace)
    swaps.build_one_that_fits(Actor(cast.member), model, "fresh")
    answer = resolved(ask, cast, model)
    assert (answer.status_code, reason(answer)) == (503, "image_not_built_yet")
    assert re.fullmatch(r"[1-9][0-9]*", answer["Retry-After"])


@pytest.mark.slow
def test_every_reason_why_a_model_cannot_run_has_a_code(
    ask: Ask, cast: Cast, model: MLModel, base: BaseImage, settings: Any
) -> None:
    without = factories.make_model(cast.workspace)
    assert reason(resolved(ask, cast, without)) == "model_has_no_image"
    broken = factories.make_image("broken", base=base, status=Status.FAILED)
    stuck = factories.make_model(cast.workspace, image=broken)
    assert reason(resolved(ask, cast, stuck)) == "image_failed"
    swaps.swap_image(Actor(cast.member), stuck, ExternalChoice("registry.example.com/a:1"))
    settings.ALLOW_EXTERNAL_CUSTOM_IMAGES = False
    answer = resolved(ask, cast, stuck)
    assert (answer.status_code, reason(answer)) == (409, "external_images_not_allowed")
    removal.remove_image(Actor(cast.admin), "churn", typed_name="churn")
    assert reason(resolved(ask, cast, model)) == "image_removed"
    settings.IMAGE_REGISTRY_ENABLED = False
    assert resolved(ask, cast, model).status_code == 503


def test_another_workspaces_model_is_not_found(
    ask: Ask, cast: Cast, image: ManagedImage, base: BaseImage
) -> None:
    theirs = factories.make_model(factories.make_workspace(), image=image)
    assert resolved(ask, cast, theirs).status_code == 404


@pytest.mark.slow
def test_it_reads_the_same_few_rows_however_much_there_is(
    ask: Ask,
    cast: Cast,
    model: MLModel,
    image: ManagedImage,
    base: BaseImage,
    django_assert_num_queries: Any,
) -> None:
    resolved(ask, cast, model)
    with django_assert_num_queries(
        5
    ):  # the token, the model, whether it is visible, its image, the default
        resolved(ask, cast, model)
    for number in range(2, 30):
        factories.make_build(image, base, Status.READY, number=number)
        factories.make_model(cast.workspace, image=image)
    with django_assert_num_queries(5):
        resolved(ask, cast, model)


@pytest.mark.slow
def test_use_is_noted_to_the_minute(
    ask: Ask, cast: Cast, model: MLModel, image: ManagedImage
) -> None:
    resolved(ask, cast, model)
    model.refresh_from_db()
    image.refresh_from_db()
    first = model.last_used_at
    assert first is not None
    assert first == image.last_used_at
    resolved(ask, cast, model)
    model.refresh_from_db()
    assert model.last_used_at == first
    past = timezone.now() - timedelta(minutes=2)
    MLModel.objects.update(last_used_at=past)
    ManagedImage.objects.update(last_used_at=past)
    resolved(ask, cast, model)
    image.refresh_from_db()
    assert image.last_used_at is not None
    assert image.last_used_at > past


def test_what_models_run_on_is_upgraded_first(cast: Cast) -> None:
    older = factories.make_base_image()
    for name in ("idle", "used", "also-idle"):
        factories.make_image(name, base=older, status=Status.OUTDATED)
    ManagedImage.objects.filter(name="used").update(last_used_at=timezone.now())
    BaseImage.objects.update(is_current=False)
    factories.make_base_image()
    upgrades.begin_next()
    assert Build.objects.get(reason=BuildReason.UPGRADE).image.name == "used"


# --- the original's runTimeInfo -----------------------------------------------------------------------------


def validate(ask: Ask, cast: Cast, **image: Any) -> Any:
    body = {"runTimeInfo": {"customImage": image}}
    return ask(cast.member, "POST", "/v1/models:validate-image", body)


@pytest.mark.slow
def test_the_originals_shape_is_validated(ask: Ask, cast: Cast, image: ManagedImage) -> None:
    assert validate(ask, cast, managedImageName="churn").json()["build"] == 1
    secret = {"name": "team-registry"}
    external = validate(ask, cast, customImage={"name": "host.example/a:1", "pullSecret": secret})
    assert external.json()["pullSecret"] == secret
    assert validate(ask, cast, managedImageName="nothing").status_code == 404
    assert validate(ask, cast, customImage={"name": "not a reference"}).status_code == 400
    both = validate(ask, cast, managedImageName="churn", customImage={"name": "a:1"})
    assert b"one of the two" in both.content
    assert validate(ask, cast).status_code == 400


def test_validation_says_what_is_not_allowed(ask: Ask, cast: Cast, settings: Any) -> None:
    settings.ALLOW_EXTERNAL_CUSTOM_IMAGES = False
    answer = validate(ask, cast, customImage={"name": "host.example/a:1"})
    assert reason(answer) == "external_images_not_allowed"


# --- models by REST -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_models_life_by_rest(ask: Ask, cast: Cast, image: ManagedImage) -> None:
    path = f"/v1/workspace/{cast.workspace.pk}/models"
    made = ask(
        cast.member,
        "POST",
        path,
        {
            "name": "Churn",
            "pythonVersion": "3.11",
            "requirements": "numpy>=2\npandas",
            "image": {"managedImageName": "churn"},
        },
    ).json()["model"]
    assert made["image"]["standing"] == "USABLE"
    one = f"/v1/models/{made['modelId']['uuid']}"
    matches = ask(cast.member, "GET", f"{one}/matches", {}).json()["matches"]
    assert matches[0] == {
        "managedImageName": "churn",
        "satisfies": False,
        "libraryCount": 1,
        "missing": ["pandas"],
        "conflicting": [],
    }
    edited = ask(cast.member, "PATCH", one, {"requirements": "numpy"}).json()["model"]
    assert (edited["requirements"], edited["name"]) == ("numpy", "Churn")
    external = {"customImage": {"name": "host.example/a:1"}}
    swapped = ask(cast.member, "PUT", f"{one}/image", external).json()["model"]
    assert swapped["image"]["customImage"] == {"name": "host.example/a:1"}
    history = ask(cast.member, "GET", f"{one}/image/history", {}).json()["images"]
    assert [item["state"] for item in history] == ["current", "past"]
    back = ask(cast.member, "POST", f"{one}/image:swapBack/{history[1]['id']}", {}).json()["model"]
    assert back["image"]["managedImageName"] == "churn"
    waits = ask(cast.member, "POST", f"{one}/image:build", {"name": "fitting"}).json()["model"]
    assert waits["nextImage"]["managedImageName"] == "fitting"
    assert ask(cast.member, "DELETE", one, {}).json() == {}
    assert ask(cast.member, "GET", path, {}).json() == {
        "models": [],
        "nextPageToken": "",
    }


def test_a_model_with_an_image_that_is_not_there_is_not_made(ask: Ask, cast: Cast) -> None:
    body = {"name": "Churn", "image": {"managedImageName": "nothing"}}
    path = f"/v1/workspace/{cast.workspace.pk}/models"
    assert ask(cast.member, "POST", path, body).status_code == 404
    assert not MLModel.objects.exists()
