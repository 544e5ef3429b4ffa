"""What a model runs on: what is pulled, how an assignment stands, and why a choice is refused."""

from __future__ import annotations

from typing import Any

import pytest

from images.models import Assignment, BaseImage, ManagedImage, MLModel, Status
from images.operations import removal, swaps
from images.operations.runtime_image import (
    ImageFailed,
    ImageNotBuiltYet,
    ImageRemoved,
    NoImage,
    Usability,
    resolve,
    usability,
    validate_image,
)
from images.operations.swaps import ExternalChoice, ExternalImagesNotAllowed, ManagedChoice
from ri_platform.errors import DomainError
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor

EXTERNAL = f"registry.example.com/churn@{factories.digest('external')}"


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    return factories.make_image("churn", base=base)


@pytest.fixture
def model(cast: Cast, image: ManagedImage) -> MLModel:
    return factories.make_model(cast.workspace, image=image)


def standing_of(model: MLModel) -> Usability:
    return usability(Assignment.objects.current().with_image().get(model=model))


def test_a_model_pulls_the_current_build_by_its_digest(model: MLModel, image: ManagedImage) -> None:
    assert image.current_build is not None
    found = resolve(model)
    assert found.digest == image.current_build.manifest_digest
    assert found.reference.endswith(f"/churn@{found.digest}")
    assert (found.image_name, found.build_number, found.pull_secret) == ("churn", 1, "")


@pytest.mark.slow
def test_an_outdated_image_and_one_that_is_rebuilt_are_pulled_as_well(
    cast: Cast, base: BaseImage
) -> None:
    for status in (Status.OUTDATED, Status.REBUILDING):
        image = factories.make_image(f"is-{status.lower()}", base=base, status=status)
        model = factories.make_model(cast.workspace, image=image)
        assert standing_of(model) == Usability.USABLE
        assert resolve(model).image_name == image.name


def test_an_external_image_is_pulled_as_it_was_named_with_its_secret(
    cast: Cast, model: MLModel
) -> None:
    swaps.swap_image(Actor(cast.member), model, ExternalChoice(EXTERNAL, "team-registry"))
    found = resolve(model)
    assert (found.reference, found.digest) == (EXTERNAL, factories.digest("external"))
    assert (found.pull_secret, found.build_number) == ("team-registry", None)


def test_an_external_image_by_tag_has_no_digest(cast: Cast, model: MLModel) -> None:
    swaps.swap_image(Actor(cast.member), model, ExternalChoice("registry.example.com/churn:1.2"))
    assert resolve(model).digest == ""


def test_without_an_image_a_model_runs_on_nothing(cast: Cast) -> None:
    with pytest.raises(NoImage):
        resolve(factories.make_model(cast.workspace))


@pytest.mark.parametrize(
    ("status", "expected", "error"),
    [
        (Status.BUILDING_FIRST_TIME, Usability.BUILDING, ImageNotBuiltYet),
        (Status.FAILED, Usability.FAILED, ImageFailed),
    ],
)
def test_an_image_that_was_never_built_says_whether_to_wait(
    status: Status, expected: Usability, error: type[DomainError], cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("fresh", base=base, status=status)
    model = factories.make_model(cast.workspace, image=image)
    assert standing_of(model) == expected
    with pytest.raises(error, match="fresh"):
        resolve(model)


@pytest.mark.slow
def test_a_removed_image_is_told_and_its_restoring_brings_it_back(
    cast: Cast, model: MLModel
) -> None:
    removal.remove_image(Actor(cast.admin), "churn", typed_name="churn")
    assert standing_of(model) == Usability.REMOVED
    with pytest.raises(ImageRemoved, match="churn was removed"):
        resolve(model)
    removal.restore_image(Actor(cast.admin), "churn")
    assert standing_of(model) == Usability.USABLE


def test_external_images_that_are_not_allowed_any_more_block_the_model(
    cast: Cast, model: MLModel, settings: Any
) -> None:
    swaps.swap_image(Actor(cast.member), model, ExternalChoice(EXTERNAL))
    settings.ALLOW_EXTERNAL_CUSTOM_IMAGES = False
    assert standing_of(model) == Usability.BLOCKED
    with pytest.raises(ExternalImagesNotAllowed):
        resolve(model)


def test_each_standing_is_shown_by_a_status_mark() -> None:
    assert {item: item.status for item in Usability} == {
        Usability.USABLE: "ready",
        Usability.BUILDING: "building_first_time",
        Usability.FAILED: "failed",
        Usability.REMOVED: "removed",
        Usability.BLOCKED: "blocked",
    }


def test_validating_a_choice_changes_nothing(
    cast: Cast, image: ManagedImage, base: BaseImage
) -> None:
    found = validate_image(Actor(cast.member), ManagedChoice("churn"))
    assert (found.image_name, found.build_number) == ("churn", 1)
    assert validate_image(Actor(cast.member), ExternalChoice(EXTERNAL)).reference == EXTERNAL
    assert not Assignment.objects.exists()
    image.refresh_from_db()
    assert image.last_used_at is None
    factories.make_image("broken", base=base, status=Status.FAILED)
    with pytest.raises(DomainError):
        validate_image(Actor(cast.member), ManagedChoice("broken"))
