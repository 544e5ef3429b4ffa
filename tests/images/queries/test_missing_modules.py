"""A run that failed for want of a module: the library that brings it, and images to run on instead."""

from __future__ import annotations

import pytest
from django.urls import reverse

from images.models import Alteration, BaseImage, ManagedImage, MLModel, Status
from images.module_names import module_in, requirements_for
from images.operations.default_image import set_default_image
from images.operations.swaps import ManagedChoice
from images.queries.missing_modules import MissingModule, explain_missing_module
from ri_platform.errors import Invalid
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor

NUMPY = {"numpy": "2.4.6"}
BOTH = {**NUMPY, "scikit-learn": "1.7.2"}


@pytest.fixture
def small(cast: Cast, base: BaseImage) -> ManagedImage:
    return factories.make_image(
        "small", base=base, libraries=NUMPY, created_by=cast.member, created_in=cast.workspace
    )


@pytest.fixture
def model(cast: Cast, small: ManagedImage) -> MLModel:
    return factories.make_model(cast.workspace, image=small)


def explain(cast: Cast, model: MLModel, text: str) -> MissingModule:
    return explain_missing_module(cast.member, model, text)


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("sklearn", "sklearn"),
        (" 'sklearn' ", "sklearn"),
        ("ModuleNotFoundError: No module named 'sklearn.tree'; 'sklearn' is not a package", "sklearn.tree"),
        ("", ""),
        ("scikit-learn", ""),
        ("a" * 201, ""),
    ],
)  # fmt: skip
def test_a_module_is_read_of_a_name_or_an_error(text: str, module: str) -> None:
    assert module_in(text) == module


@pytest.mark.parametrize(
    ("module", "requirements"),
    [
        ("sklearn.tree", ["scikit-learn"]),
        ("pkg_resources", ["setuptools<81"]),
        ("google.cloud.storage", ["google-cloud-storage", "google-cloud", "google"]),
        ("typing_inspect", ["typing-inspect"]),
        ("_tkinter", []),
        ("json", []),
    ],
)
def test_a_module_leads_to_libraries_by_its_name(module: str, requirements: list[str]) -> None:
    assert requirements_for(module) == requirements


@pytest.mark.slow
def test_images_have_the_library_and_all_else_that_the_model_needs(
    cast: Cast, base: BaseImage, model: MLModel
) -> None:
    factories.make_image("both", base=base, libraries=BOTH)
    factories.make_image("larger", base=base, libraries={**BOTH, "pandas": "3.0.1"})
    factories.make_image("without-numpy", base=base, libraries={"scikit-learn": "1.7.2"})
    factories.make_image("rebuilt", base=base, libraries=BOTH, status=Status.REBUILDING)
    found = explain(cast, model, "No module named 'sklearn'")
    assert (str(found.library), found.known, found.installed) == ("scikit-learn", True, "")
    assert [match.image.name for match in found.images] == ["both", "larger"]
    assert found.alterable == model.assignments.get().image
    assert found.hint == "scikit-learn brings the module sklearn."


def test_the_versions_that_the_model_asks_for_hold(
    cast: Cast, base: BaseImage, small: ManagedImage
) -> None:
    needs = [{"name": "scikit-learn", "extras": [], "specifier": "<1.7"}]
    model = factories.make_model(cast.workspace, image=small, pip_requirements=needs)
    factories.make_image("both", base=base, libraries=BOTH)
    found = explain(cast, model, "sklearn")
    assert (str(found.library), found.images) == ("scikit-learn<1.7", [])


def test_a_library_that_is_there_is_not_the_cause(
    cast: Cast, base: BaseImage, model: MLModel
) -> None:
    found = explain(cast, model, "numpy.core")
    assert (found.installed, found.alterable) == ("2.4.6", None)
    assert "has numpy 2.4.6 already" in found.hint


def test_a_library_that_is_there_without_the_module_is_told_and_can_be_altered(
    cast: Cast, base: BaseImage
) -> None:
    new = factories.make_image("new", base=base, libraries={**NUMPY, "setuptools": "82.0.1"})
    model = factories.make_model(cast.workspace, image=new)
    found = explain(cast, model, "No module named 'pkg_resources'")
    assert (str(found.library), found.alterable) == ("setuptools<81", new)
    assert found.hint == (
        "The image has setuptools 82.0.1, which does not bring the module pkg_resources. "
        "setuptools<81 does."
    )


def test_a_name_is_a_guess_unless_something_confirms_it(cast: Cast, model: MLModel) -> None:
    assert "often has the same name: nowhere" in explain(cast, model, "nowhere").hint
    assert "belongs to Python itself" in explain(cast, model, "_tkinter").hint
    with pytest.raises(Invalid, match="names no module"):
        explain(cast, model, "it does not work")


@pytest.mark.slow
def test_a_model_on_the_default_image_may_alter_that(cast: Cast, small: ManagedImage) -> None:
    follower = factories.make_model(cast.workspace)
    assert explain(cast, follower, "sklearn").alterable is None
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("small"))
    assert explain(cast, follower, "sklearn").alterable == small


@pytest.mark.slow
def test_the_page_leads_to_images_and_to_the_alteration(
    cast: Cast, base: BaseImage, model: MLModel
) -> None:
    factories.make_image("both", base=base, libraries=BOTH)
    client = cast.client(cast.member)
    url = reverse("missing_module", args=[cast.workspace.pk, model.pk])
    page = client.get(url, {"module": "sklearn"}).content.decode()
    assert "scikit-learn brings the module sklearn." in page
    assert reverse("swap_managed", args=[cast.workspace.pk, model.pk, "both"]) in page
    led = client.post(
        reverse("propose_library", args=[cast.workspace.pk, "small"]), {"library": "scikit-learn"}
    )
    made = Alteration.objects.get()
    assert led["Location"].endswith(f"/alter/{made.pk}")
    assert [str(item) for item in made.spec.pip_requirements] == ["numpy>=2", "scikit-learn"]
    viewers = cast.client(cast.viewer).get(url, {"module": "sklearn"}).content.decode()
    assert "See what scikit-learn changes" not in viewers
    assert client.get(url, {"module": "?"}).status_code == 422
    assert client.get(url).status_code == 200


@pytest.mark.slow
def test_an_image_that_has_the_library_already_is_no_proposal(
    cast: Cast, small: ManagedImage
) -> None:
    url = reverse("propose_library", args=[cast.workspace.pk, "small"])
    for library in ("numpy>=2", "", "not a library!"):
        assert cast.client(cast.member).post(url, {"library": library}).status_code == 400
    assert not Alteration.objects.exists()
