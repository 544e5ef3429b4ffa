"""Models swap images: at once, when a build is done, back again; and what cannot be run on is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from images.errors import ResolutionFailed
from images.jobs.build_outcome import Product, fail, succeed
from images.jobs.journal import Journal
from images.models import Assignment, BaseImage, Build, ManagedImage, MLModel, Status
from images.operations import removal, swaps
from images.operations.runtime_image import Usability, usability
from images.operations.swaps import ExternalChoice, ManagedChoice
from ri_platform.errors import Conflict, Invalid, NotAllowed, NotFound
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.fixture
def old(base: BaseImage) -> ManagedImage:
    return factories.make_image("old", base=base, libraries={"numpy": "2.0.0", "attrs": "24.1.0"})


@pytest.fixture
def new(base: BaseImage) -> ManagedImage:
    return factories.make_image("new", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0.1"})


@pytest.fixture
def model(cast: Cast, old: ManagedImage) -> MLModel:
    return factories.make_model(cast.workspace, image=old, name="Churn")


def current(model: MLModel) -> Assignment:
    return Assignment.objects.current().with_image().get(model=model)


def finish(build: Build) -> None:
    """End a queued build as a worker that has claimed it would."""
    claimed = Build.objects.claim(build.pk, 30)
    assert claimed is not None
    Build.objects.filter(pk=build.pk).update(lock=factories.lock_of(numpy="2.4.6"))
    claimed.refresh_from_db()
    product = Product(factories.digest("made"), factories.digest("config"), 1, 1, [], [])
    succeed(claimed, product, Journal(claimed))


def test_a_swap_is_immediate_and_remembered(cast: Cast, model: MLModel, new: ManagedImage) -> None:
    swaps.swap_image(Actor(cast.member), model, ManagedChoice("new"))
    assert current(model).image == new
    past = Assignment.objects.get(model=model, state="past")
    assert (past.image_name, past.ended_at is not None) == ("old", True)
    event = AuditEvent.objects.get(event="model.image_swapped")
    assert event.details == {"before": "old", "image": "new"}


@pytest.mark.slow
def test_swapping_back_is_a_swap_to_an_image_of_the_history(
    cast: Cast, model: MLModel, new: ManagedImage
) -> None:
    swaps.swap_image(Actor(cast.member), model, ManagedChoice("new"))
    past = Assignment.objects.get(model=model, state="past")
    client = cast.client(cast.member)
    client.post(reverse("swap_back", args=[cast.workspace.pk, model.pk, past.pk]))
    assert current(model).image_name == "old"
    assert Assignment.objects.filter(model=model).count() == 3


def test_the_history_of_another_model_is_not_ones_own(
    cast: Cast, model: MLModel, new: ManagedImage
) -> None:
    another = factories.make_model(cast.workspace, image=new)
    swaps.swap_image(Actor(cast.member), another, ManagedChoice("old"))
    past = Assignment.objects.get(model=another, state="past")
    with pytest.raises(NotFound):
        swaps.swap_image(Actor(cast.member), model, swaps.past_choice(model, past.pk))


@pytest.mark.slow
def test_without_a_pin_a_model_follows_the_current_build(
    cast: Cast, model: MLModel, old: ManagedImage, base: BaseImage
) -> None:
    second = factories.make_build(old, base, Status.READY, number=2)
    ManagedImage.objects.filter(pk=old.pk).update(current_build=second)
    page = cast.client(cast.member).get(reverse("model", args=[cast.workspace.pk, model.pk]))
    assert b"The current build (2)" in page.content
    swaps.swap_image(Actor(cast.member), model, ManagedChoice("old", 1))
    pinned = current(model)
    assert (pinned.build_number, pinned.label) == (1, "old build 1")


def test_only_a_build_that_succeeded_is_pinned_to(
    cast: Cast, model: MLModel, old: ManagedImage, base: BaseImage
) -> None:
    factories.make_build(old, base, Status.FAILED, number=2)
    for number in (2, 7):
        with pytest.raises(NotFound, match=f"no successful build {number}"):
            swaps.swap_image(Actor(cast.member), model, ManagedChoice("old", number))


def test_a_swap_to_what_the_model_runs_on_is_refused(cast: Cast, model: MLModel) -> None:
    with pytest.raises(Conflict, match="runs on old already"):
        swaps.swap_image(Actor(cast.member), model, ManagedChoice("old"))


def test_an_image_that_never_was_built_is_refused(
    cast: Cast, model: MLModel, base: BaseImage
) -> None:
    factories.make_image("broken", base=base, status=Status.FAILED)
    with pytest.raises(Conflict, match="No build of broken has succeeded"):
        swaps.swap_image(Actor(cast.member), model, ManagedChoice("broken"))


def test_a_viewer_cannot_swap(cast: Cast, model: MLModel, new: ManagedImage) -> None:
    with pytest.raises(NotAllowed, match="cannot swap"):
        swaps.swap_image(Actor(cast.viewer), model, ManagedChoice("new"))


# --- waiting for a build ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_that_fits_is_built_and_swapped_to_when_it_is_ready(cast: Cast, model: MLModel) -> None:
    client = cast.client(cast.member)
    url = reverse("swap_build", args=[cast.workspace.pk, model.pk])
    assert b'value="churn"' in client.get(url).content
    assert client.post(url, {"name": "churn"}).status_code == 302
    image = ManagedImage.objects.get(name="churn")
    assert image.pip_requirements == model.pip_requirements
    assert current(model).image_name == "old"
    page = client.get(reverse("model", args=[cast.workspace.pk, model.pk]))
    assert b"Swaps to churn as soon as it is ready" in page.content
    finish(prepared(image))
    assert current(model).image == image
    event = AuditEvent.objects.get(event="model.image_swapped")
    assert (event.username, event.details["waited"]) == ("member", True)


def prepared(image: ManagedImage) -> Build:
    ManagedImage.objects.filter(pk=image.pk).update(repository_ready_at="2026-01-01T00:00Z")
    return image.builds.get()


@pytest.mark.slow
def test_a_failed_build_leaves_the_model_where_it_is(cast: Cast, model: MLModel) -> None:
    swaps.build_one_that_fits(Actor(cast.member), model, "churn")
    claimed = Build.objects.claim(prepared(ManagedImage.objects.get(name="churn")).pk, 30)
    assert claimed is not None
    fail(claimed, ResolutionFailed("There is no such version."), Journal(claimed))
    assert current(model).image_name == "old"
    page = cast.client(cast.member).get(reverse("model", args=[cast.workspace.pk, model.pk]))
    assert b"There is no such version." in page.content


@pytest.mark.slow
def test_a_swap_that_waits_can_be_called_off(cast: Cast, model: MLModel) -> None:
    swaps.build_one_that_fits(Actor(cast.member), model, "churn")
    cast.client(cast.member).post(reverse("stop_waiting", args=[cast.workspace.pk, model.pk]))
    finish(prepared(ManagedImage.objects.get(name="churn")))
    assert current(model).image_name == "old"


@pytest.mark.slow
def test_another_swap_takes_the_place_of_the_one_that_waits(
    cast: Cast, model: MLModel, new: ManagedImage
) -> None:
    swaps.build_one_that_fits(Actor(cast.member), model, "churn")
    swaps.swap_image(Actor(cast.member), model, ManagedChoice("new"))
    finish(prepared(ManagedImage.objects.get(name="churn")))
    assert current(model).image_name == "new"


def test_a_model_without_an_image_takes_the_one_that_is_being_built(
    cast: Cast, base: BaseImage
) -> None:
    model = factories.make_model(cast.workspace)
    made = swaps.build_one_that_fits(Actor(cast.member), model, "churn")
    assert made.state == "current"
    assert usability(current(model)) == Usability.BUILDING


def test_what_cannot_be_created_leaves_nothing_behind(cast: Cast, model: MLModel) -> None:
    with pytest.raises(Conflict, match="There is a managed image named old already"):
        swaps.build_one_that_fits(Actor(cast.member), model, "old")
    MLModel.objects.update(pip_requirements=[])
    model.refresh_from_db()
    with pytest.raises(Invalid, match="no requirements"):
        swaps.build_one_that_fits(Actor(cast.member), model, "churn")
    assert not Assignment.objects.waiting().exists()


@pytest.mark.slow
def test_removing_what_is_waited_for_ends_the_waiting(cast: Cast, model: MLModel) -> None:
    swaps.build_one_that_fits(Actor(cast.member), model, "churn")
    removal.remove_image(Actor(cast.admin), "churn")
    assert not Assignment.objects.waiting().exists()


# --- external images ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_external_image_with_its_pull_secret(cast: Cast, model: MLModel) -> None:
    url = reverse("swap_external", args=[cast.workspace.pk, model.pk])
    form = {"reference": "registry.example.com/team/churn:1.2", "pull_secret": "team-registry"}
    assert cast.client(cast.member).post(url, form).status_code == 302
    assert (current(model).label, current(model).pull_secret) == (
        form["reference"],
        "team-registry",
    )


@pytest.mark.parametrize(
    ("reference", "secret", "field"),
    [
        ("not a reference", "", "reference"),
        ("host/image@sha256:short", "", "reference"),
        ("", "", "reference"),
        ("registry.example.com/a:1", "No Secret", "pull_secret"),
        ("registry.example.com/a:1", "-leading", "pull_secret"),
    ],
)
def test_what_is_no_reference_is_told_at_its_field(
    cast: Cast, model: MLModel, reference: str, secret: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        swaps.swap_image(Actor(cast.member), model, ExternalChoice(reference, secret))
    assert refused.value.field == field


@pytest.mark.slow
def test_where_they_are_not_allowed_external_images_are_refused(
    cast: Cast, model: MLModel, settings: Any
) -> None:
    swaps.swap_image(Actor(cast.member), model, ExternalChoice("registry.example.com/a:1"))
    swaps.swap_image(Actor(cast.member), model, ManagedChoice("old"))
    settings.ALLOW_EXTERNAL_CUSTOM_IMAGES = False
    url = reverse("swap_external", args=[cast.workspace.pk, model.pk])
    assert cast.client(cast.member).get(url).status_code == 409
    past = Assignment.objects.get(model=model, external_reference="registry.example.com/a:1")
    with pytest.raises(Conflict, match="does not allow external custom images"):
        swaps.swap_image(Actor(cast.member), model, swaps.past_choice(model, past.pk))


@pytest.mark.slow
def test_turned_off_later_such_models_are_shown_as_blocked(
    cast: Cast, model: MLModel, settings: Any
) -> None:
    swaps.swap_image(Actor(cast.member), model, ExternalChoice("registry.example.com/a:1"))
    settings.ALLOW_EXTERNAL_CUSTOM_IMAGES = False
    client = cast.client(cast.member)
    page = client.get(reverse("model", args=[cast.workspace.pk, model.pk]))
    assert b"External images are not allowed" in page.content
    assert b"Blocked" in client.get(reverse("models", args=[cast.workspace.pk])).content


# --- the picker ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_picker_ranks_by_fit_and_says_what_is_missing_or_conflicts(
    cast: Cast, base: BaseImage, old: ManagedImage, new: ManagedImage
) -> None:
    requirements = [
        {"name": "numpy", "extras": [], "specifier": ">=2.1"},
        {"name": "pandas", "extras": [], "specifier": ">=3"},
    ]
    model = factories.make_model(cast.workspace, image=old, pip_requirements=requirements)
    factories.make_image("half", base=base, libraries={"numpy": "2.4.6"})
    page = cast.client(cast.member).get(reverse("swap", args=[cast.workspace.pk, model.pk]))
    matches = page.context["matches"]
    assert [match.image.name for match in matches] == ["new", "half"]
    assert b"Has everything" in page.content
    assert b"1 of 2 not met" in page.content
    searched = cast.client(cast.member).get(
        reverse("swap", args=[cast.workspace.pk, model.pk]), {"q": "ol"}
    )
    assert [match.image.name for match in searched.context["matches"]] == ["old"]
    assert b"has 2.0.0" in searched.content


@pytest.mark.slow
def test_an_image_of_another_python_is_not_offered(cast: Cast, model: MLModel) -> None:
    other = factories.make_base_image(python_version="3.13")
    factories.make_image("modern", base=other)
    page = cast.client(cast.member).get(reverse("swap", args=[cast.workspace.pk, model.pk]))
    assert [match.image.name for match in page.context["matches"]] == ["old"]


@pytest.mark.slow
def test_the_difference_is_shown_before_it_is_confirmed(
    cast: Cast, model: MLModel, new: ManagedImage
) -> None:
    url = reverse("swap_managed", args=[cast.workspace.pk, model.pk, "new"])
    page = cast.client(cast.member).get(url)
    told = [(change.name, change.kind) for change in page.context["changes"]]
    assert told == [("attrs", "removed"), ("numpy", "upgraded"), ("pandas", "added")]
    assert current(model).image_name == "old"
    assert cast.client(cast.member).post(url).status_code == 302
    assert current(model).image_name == "new"


# --- the database's own rules -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"image_name": "old", "external_reference": "host/a:1"},
        {"image_name": "old", "pull_secret": "secret"},
        {"external_reference": "host/a:1", "build_number": 1},
        {"image_name": "old", "state": "past"},
    ],
)
def test_an_assignment_is_exactly_one_kind_of_image(
    values: dict[str, Any], cast: Cast, db: None
) -> None:
    model = factories.make_model(cast.workspace)
    defaults = {"state": "current", "began_at": "2026-01-01T00:00Z"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Assignment.objects.create(model=model, **{**defaults, **values})


def test_a_model_runs_on_one_image_at_a_time(model: MLModel) -> None:
    with pytest.raises(IntegrityError, match="model_runs_on_one_image"), transaction.atomic():
        Assignment.objects.create(
            model=model, image_name="other", state="current", began_at="2026-01-01T00:00Z"
        )
