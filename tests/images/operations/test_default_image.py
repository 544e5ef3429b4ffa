"""The default image of a workspace: models without an image of their own run on it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from images.models import Assignment, BaseImage, DefaultImage, ManagedImage, MLModel, Status
from images.operations import removal, swaps
from images.operations.default_image import (
    NoDefaultImage,
    clear_default_image,
    set_default_image,
)
from images.operations.runtime_image import (
    ImageFailed,
    ImageRemoved,
    NoImage,
    NoImageToRunOn,
    resolve,
    resolve_in,
)
from images.operations.swaps import ExternalChoice, ExternalImagesNotAllowed, ManagedChoice
from images.queries.chosen_images import ImageSource
from images.queries.kept_builds import kept_builds
from images.queries.usage import use_of
from images.run_time.request import RunRequest
from ri_platform.errors import Conflict, Invalid, NotAllowed
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent, Workspace


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    return factories.make_image("common", base=base)


@pytest.fixture
def default(cast: Cast, image: ManagedImage) -> DefaultImage:
    return set_default_image(Actor(cast.manager), cast.workspace, ManagedChoice("common"))


@pytest.fixture
def follower(cast: Cast) -> MLModel:
    return factories.make_model(cast.workspace, name="Follower")


def test_a_model_without_an_image_runs_on_the_default(
    follower: MLModel, default: DefaultImage
) -> None:
    found = resolve(follower)
    assert (found.image_name, found.source) == ("common", ImageSource.WORKSPACE_DEFAULT)
    follower.refresh_from_db()
    assert follower.last_used_at is not None


def test_a_models_own_image_counts_more(
    cast: Cast, base: BaseImage, default: DefaultImage, follower: MLModel
) -> None:
    own = factories.make_image("own", base=base)
    swaps.swap_image(Actor(cast.member), follower, ManagedChoice(own.name))
    found = resolve(follower)
    assert (found.image_name, found.source) == ("own", ImageSource.MODEL)


def test_the_default_of_another_workspace_is_none_of_ones_own(
    cast: Cast, default: DefaultImage
) -> None:
    with pytest.raises(NoImage):
        resolve(factories.make_model(cast.other))


@pytest.mark.slow
def test_a_model_goes_back_to_the_default(
    cast: Cast, base: BaseImage, default: DefaultImage
) -> None:
    model = factories.make_model(cast.workspace, image=factories.make_image("own", base=base))
    cast.client(cast.member).post(reverse("swap_default", args=[cast.workspace.pk, model.pk]))
    assert resolve(model).image_name == "common"
    event = AuditEvent.objects.get(event="model.image_swapped")
    assert event.details == {"before": "own", "image": "common", "default": True}
    past = Assignment.objects.get(model=model)
    swaps.swap_image(Actor(cast.member), model, swaps.past_choice(model, past.pk))
    assert resolve(model).image_name == "own"


@pytest.mark.slow
def test_there_is_no_way_back_to_a_default_that_is_not_there(
    cast: Cast, image: ManagedImage, follower: MLModel
) -> None:
    model = factories.make_model(cast.workspace, image=image)
    with pytest.raises(Conflict, match="has no default image"):
        swaps.swap_to_default(Actor(cast.member), model)
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"))
    with pytest.raises(Conflict, match="already"):
        swaps.swap_to_default(Actor(cast.member), follower)


@pytest.mark.slow
def test_a_swap_to_an_image_in_its_first_build_waits_on_the_default(
    cast: Cast, base: BaseImage, default: DefaultImage, follower: MLModel
) -> None:
    factories.make_image("later", base=base, status=Status.BUILDING_FIRST_TIME)
    assert swaps.swap_image(Actor(cast.member), follower, ManagedChoice("later")).state == "waiting"
    assert resolve(follower).image_name == "common"


def test_setting_and_clearing_it_are_recorded(cast: Cast, image: ManagedImage) -> None:
    actor = Actor(cast.manager)
    set_default_image(
        actor, cast.workspace, ManagedChoice("common", 1), RunRequest(ram_megabytes=4096)
    )
    clear_default_image(actor, cast.workspace)
    found = AuditEvent.objects.filter(event__startswith="workspace.default_image")
    assert [(event.event, event.object_name, event.details) for event in found] == [
        ("workspace.default_image_cleared", "Workspace 1", {"before": "common build 1"}),
        (
            "workspace.default_image_set",
            "Workspace 1",
            {"before": "", "image": "common build 1", "asks": {"ram_megabytes": 4096}},
        ),
    ]
    with pytest.raises(NoDefaultImage):
        clear_default_image(actor, cast.workspace)


def test_only_administrators_of_the_workspace_choose_it(cast: Cast, image: ManagedImage) -> None:
    for user in (cast.member, cast.viewer):
        with pytest.raises(NotAllowed, match="Only administrators of this workspace"):
            set_default_image(Actor(user), cast.workspace, ManagedChoice("common"))
        with pytest.raises(NotAllowed):
            clear_default_image(Actor(user), cast.workspace)


def test_what_cannot_be_pulled_yet_is_no_default(cast: Cast, base: BaseImage) -> None:
    factories.make_image("later", base=base, status=Status.BUILDING_FIRST_TIME)
    with pytest.raises(Conflict, match="still being built"):
        set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("later"))
    assert not DefaultImage.objects.exists()


def test_an_external_default_is_pulled_as_it_was_named_where_that_is_allowed(
    cast: Cast, follower: MLModel, settings: object
) -> None:
    choice = ExternalChoice("registry.example.com:5000/team/image:1.2", "team-registry")
    set_default_image(Actor(cast.admin), cast.workspace, choice)
    found = resolve(follower)
    assert (found.reference, found.pull_secret) == (choice.reference, "team-registry")
    assert (found.repository, found.tag) == ("registry.example.com:5000/team/image", "1.2")
    settings.ALLOW_EXTERNAL_CUSTOM_IMAGES = False  # type: ignore[attr-defined]
    with pytest.raises(ExternalImagesNotAllowed):
        resolve(follower)


@pytest.mark.slow
def test_removing_a_default_image_takes_its_name_and_says_who_loses_it(
    cast: Cast, default: DefaultImage, follower: MLModel
) -> None:
    with pytest.raises(Invalid, match="is in use"):
        removal.remove_image(Actor(cast.admin), "common")
    page = cast.client(cast.admin).get(reverse("remove_image", args=[cast.workspace.pk, "common"]))
    said = " ".join(page.content.decode().split())
    assert "It is the default image of 1 workspace" in said
    assert "Workspace 1" in said
    assert "1 model<" in said
    removal.remove_image(Actor(cast.admin), "common", typed_name="common")
    with pytest.raises(ImageRemoved):
        resolve(follower)
    removal.restore_image(Actor(cast.admin), "common")
    assert resolve(follower).image_name == "common"


@pytest.mark.slow
def test_a_default_of_an_image_that_is_gone_keeps_its_name(
    default: DefaultImage, follower: MLModel, image: ManagedImage
) -> None:
    ManagedImage.objects.filter(pk=image.pk).update(current_build=None, status=Status.FAILED)
    with pytest.raises(ImageFailed):
        resolve(follower)
    image.builds.all().delete()
    image.delete()
    default.refresh_from_db()
    assert default.label == "common"
    with pytest.raises(ImageRemoved):
        resolve(follower)


def test_its_use_counts_those_who_may_not_see_it(
    cast: Cast, theirs: Workspace, image: ManagedImage, default: DefaultImage, follower: MLModel
) -> None:
    set_default_image(Actor(cast.admin), theirs, ManagedChoice("common"))
    factories.make_model(cast.workspace, image=image)
    use = use_of(image, Actor(cast.member))
    assert [(item.workspace.name, item.followers) for item in use.defaults] == [("Workspace 1", 1)]  # type: ignore[attr-defined]
    assert (use.count, use.default_count, use.other_defaults) == (1, 2, 1)


def test_a_build_that_a_default_is_pinned_to_is_kept(
    cast: Cast, base: BaseImage, image: ManagedImage, settings: object
) -> None:
    settings.KEEP_BUILDS = 1  # type: ignore[attr-defined]
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common", 1))
    later = factories.make_build(image, base, Status.READY, number=2)
    ManagedImage.objects.filter(pk=image.pk).update(current_build=later)
    image.refresh_from_db()
    assert [build.number for build in kept_builds(image)] == [2, 1]
    clear_default_image(Actor(cast.admin), cast.workspace)
    assert [build.number for build in kept_builds(image)] == [2]


def test_a_removed_workspace_leaves_its_default_image(
    cast: Cast, image: ManagedImage, default: DefaultImage
) -> None:
    cast.workspace.delete()
    assert ManagedImage.objects.filter(pk=image.pk).exists()
    assert not DefaultImage.objects.exists()


def test_a_run_asks_for_what_its_model_says_and_else_its_workspace(
    cast: Cast, image: ManagedImage
) -> None:
    asks = RunRequest(ram_megabytes=1000, cpu_millicores=500, random_seed=0)
    set_default_image(Actor(cast.admin), cast.workspace, ManagedChoice("common"), asks)
    model = factories.make_model(cast.workspace, run_request={"ram_megabytes": 9000})
    found = resolve_in(cast.workspace, model).asks
    assert found == RunRequest(ram_megabytes=9000, cpu_millicores=500, random_seed=0)
    assert resolve_in(cast.workspace, None).asks == asks


def test_without_either_there_is_no_image(cast: Cast, follower: MLModel) -> None:
    for model in (follower, None):
        with pytest.raises(NoImageToRunOn):
            resolve_in(cast.workspace, model)
