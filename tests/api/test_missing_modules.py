"""The explanation of a missing module by REST, with the alteration that adds its library."""

from __future__ import annotations

import pytest

from images.models import Alteration, BaseImage, ManagedImage, MLModel
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast

BOTH = {"numpy": "2.4.6", "scikit-learn": "1.7.2"}


@pytest.fixture
def small(cast: Cast, base: BaseImage) -> ManagedImage:
    return factories.make_image(
        "small", base=base, created_by=cast.member, created_in=cast.workspace
    )


@pytest.fixture
def model(cast: Cast, small: ManagedImage) -> MLModel:
    return factories.make_model(cast.workspace, image=small)


@pytest.mark.slow
def test_by_rest_an_alteration_is_proposed_to_whom_the_image_belongs(
    ask: Ask, cast: Cast, base: BaseImage, model: MLModel
) -> None:
    factories.make_image("both", base=base, libraries=BOTH)
    path, body = f"/v1/models/{model.pk}/image:missing", {"module": "sklearn"}
    found = ask(cast.member, "POST", path, body).json()["missing"]
    alteration = found.pop("alteration")
    assert found == {
        "module": "sklearn",
        "requirement": "scikit-learn",
        "hint": "scikit-learn brings the module sklearn.",
        "installed": "",
        "images": [{"managedImageName": "both", "libraryCount": 2}],
        "alterationRefusal": "",
    }
    assert (alteration["imageName"], alteration["state"]) == ("small", "queued")
    asked = [item["name"] for item in alteration["pipRequirements"]]
    assert asked == ["numpy", "scikit-learn"]
    refused = ask(cast.viewer, "POST", path, body).json()["missing"]
    assert "alteration" not in refused
    assert "A viewer's API access token" in refused["alterationRefusal"]
    unasked = ask(cast.member, "POST", path, {**body, "propose": False}).json()["missing"]
    assert "alteration" not in unasked
    assert Alteration.objects.count() == 1
    assert ask(cast.member, "POST", path, {"module": "!"}).status_code == 400


def test_an_image_of_a_lock_takes_no_library_beside_it(
    ask: Ask, cast: Cast, model: MLModel, small: ManagedImage
) -> None:
    locked = [
        {"name": "numpy", "extras": [], "specifier": "==2.4.6", "hashes": ["sha256:" + "0" * 64]}
    ]
    ManagedImage.objects.filter(pk=small.pk).update(pip_requirements=locked)
    path = f"/v1/models/{model.pk}/image:missing"
    found = ask(cast.member, "POST", path, {"module": "sklearn"}).json()["missing"]
    assert "complete lock" in found["alterationRefusal"]
