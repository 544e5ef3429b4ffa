"""Rebuild, alter, roll back, cancel: the rules, and what the pages say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from images import wake
from images.models import Alteration, BaseImage, Build, BuildReason, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import alterations, builds
from images.queries.library_changes import Change, changes
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid, NotFound
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    return factories.make_image("churn", base=base, created_in=cast.workspace)


def wanted(text: str) -> ImageSpec:
    return ImageSpec("all", "3.11", tuple(parse_pip_requirements(text)))


def url(cast: Cast, route: str, **arguments: Any) -> str:
    return reverse(route, kwargs={"workspace_id": cast.workspace.pk, "name": "churn", **arguments})


def succeed(image: ManagedImage, build: Build) -> None:
    Build.objects.filter(pk=build.pk).update(
        state=WorkState.SUCCEEDED,
        lock=factories.lock_of(numpy="2"),
        manifest_digest=factories.digest(build.pk),
    )
    ManagedImage.objects.filter(pk=image.pk).update(status=Status.READY, current_build=build)
    image.refresh_from_db()


# --- alter ------------------------------------------------------------------------------------------------


def test_an_alteration_is_looked_at_before_it_is_built(
    cast: Cast,
    image: ManagedImage,
    django_capture_on_commit_callbacks: Any,
    sent: list[tuple[wake.Task, int]],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alteration = alterations.propose_alteration(
            Actor(cast.member), image, wanted("numpy>=2\npandas")
        )
    assert sent == [(wake.Task.RESOLVE_ALTERATION, alteration.pk)]
    assert image.builds.count() == 1
    with pytest.raises(Conflict, match="no lock"):
        alterations.alter_image(Actor(cast.member), alteration)
    Alteration.objects.update(state=WorkState.SUCCEEDED, lock=factories.lock_of(pandas="3"))
    alteration.refresh_from_db()
    build = alterations.alter_image(Actor(cast.member), alteration)
    image.refresh_from_db()
    assert (build.number, build.reason, build.lock) == (2, BuildReason.ALTER, alteration.lock)
    assert image.status == Status.REBUILDING
    assert [item["name"] for item in image.pip_requirements] == ["numpy", "pandas"]
    assert not Alteration.objects.exists()
    event = AuditEvent.objects.get(event="image.altered")
    assert event.details["after"]["pip_requirements"] == image.pip_requirements


def test_an_alteration_that_changes_nothing_is_refused(cast: Cast, image: ManagedImage) -> None:
    with pytest.raises(Invalid, match="asked for already"):
        alterations.propose_alteration(Actor(cast.member), image, wanted("numpy>=2"))


@pytest.mark.slow
def test_the_page_shows_each_change_and_the_button_builds_it(
    cast: Cast, image: ManagedImage
) -> None:
    client = cast.client(cast.member)
    answer = client.post(
        url(cast, "alter_image"),
        {"image_type": "all", "python_version": "3.11", "pip_requirements": "numpy\npandas"},
    )
    alteration = Alteration.objects.get()
    page = url(cast, "alteration", alteration_id=alteration.pk)
    assert answer["Location"] == page
    assert b"Finding out which versions fit together." in client.get(page).content
    lock = factories.lock_of(numpy="2.5.0", pandas="3.0.1")
    Alteration.objects.update(state=WorkState.SUCCEEDED, lock=lock)
    shown = client.get(page).content
    for words in (b"Upgraded", b"2.4.6", b"2.5.0", b"Added", b"pandas"):
        assert words in shown
    client.post(url(cast, "build_alteration", alteration_id=alteration.pk))
    assert image.builds.get(number=2).lock == lock
    assert client.get(page).status_code == 404


def test_an_alteration_that_cannot_be_resolved_says_why(cast: Cast, image: ManagedImage) -> None:
    alteration = factories.make_alteration(
        image, state=WorkState.FAILED, lock="", error_code="resolution_failed",
        error_message="Because pandsa was not found, it is unsatisfiable.",
    )  # fmt: skip
    page = cast.client(cast.member).get(url(cast, "alteration", alteration_id=alteration.pk))
    assert b"Because pandsa was not found" in page.content
    assert b"Alter image" not in page.content


def test_mistakes_in_the_form_are_told_at_their_line(cast: Cast, image: ManagedImage) -> None:
    answer = cast.client(cast.member).post(
        url(cast, "alter_image"),
        {"image_type": "all", "python_version": "3.11", "pip_requirements": "numpy\n-e ."},
    )
    assert answer.status_code == 422
    assert b"Line 2" in answer.content


def test_locks_are_compared_library_by_library() -> None:
    before = factories.lock_of(numpy="2.4.6", six="1.16.0", pandas="3.1")
    after = factories.lock_of(numpy="2.10.0", pandas="3.0", scipy="1.0")
    assert [(change, change.kind) for change in changes(before, after)] == [
        (Change("numpy", "2.4.6", "2.10.0"), "upgraded"),
        (Change("pandas", "3.1", "3.0"), "downgraded"),
        (Change("scipy", "", "1.0"), "added"),
        (Change("six", "1.16.0", ""), "removed"),
    ]
    assert changes("", factories.lock_of(numpy="1"))[0].kind == "added"


# --- roll back, rebuild, cancel ---------------------------------------------------------------------------


def test_rolling_back_builds_the_old_lock_on_its_base(cast: Cast, image: ManagedImage) -> None:
    old = image.builds.get()
    alteration = factories.make_alteration(image)
    succeed(image, alterations.alter_image(Actor(cast.member), alteration))
    build = builds.roll_back_image(Actor(cast.member), image, old.number)
    image.refresh_from_db()
    assert (build.number, build.reason, build.lock) == (3, BuildReason.ROLL_BACK, old.lock)
    assert (build.base_image_id, image.spec) == (old.base_image_id, old.spec)
    assert AuditEvent.objects.get(event="image.rolled_back").details == {"build": 3, "to": 1}


def test_only_an_earlier_success_can_be_rolled_back_to(cast: Cast, image: ManagedImage) -> None:
    with pytest.raises(Conflict, match="Build 1 is the current one"):
        builds.roll_back_image(Actor(cast.member), image, 1)
    with pytest.raises(NotFound):
        builds.roll_back_image(Actor(cast.member), image, 7)
    assert (
        cast.client(cast.member).post(url(cast, "roll_back_image"), {"build": "x"}).status_code
        == 404
    )


@pytest.mark.slow
def test_cancelling_a_rebuild_leaves_the_current_image(cast: Cast, image: ManagedImage) -> None:
    build = builds.rebuild_image(Actor(cast.member), image)
    page = cast.client(cast.manager).post(url(cast, "cancel_build"), follow=True).content
    build.refresh_from_db()
    image.refresh_from_db()
    assert (build.state, image.status) == (WorkState.CANCELLED, Status.READY)
    assert b"Build 2 was cancelled." in page
    assert AuditEvent.objects.get(event="image.build_cancelled").username == "manager"


def test_cancelling_the_first_build_leaves_an_image_that_can_be_tried_again(
    cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image(
        "churn", base=base, created_in=cast.workspace, status=Status.BUILDING_FIRST_TIME
    )
    builds.cancel_build(Actor(cast.member), image)
    image.refresh_from_db()
    assert image.status == Status.FAILED
    assert b"Try again" in cast.client(cast.member).get(url(cast, "image")).content


def test_an_image_on_a_base_that_moved_on_is_outdated_after_a_cancel(
    cast: Cast, image: ManagedImage
) -> None:
    BaseImage.objects.update(is_current=False)
    factories.make_base_image()
    builds.rebuild_image(Actor(cast.member), image)
    builds.cancel_build(Actor(cast.member), image)
    image.refresh_from_db()
    assert image.status == Status.OUTDATED


VERBS: list[Callable[[Cast, ManagedImage], object]] = [
    lambda cast, image: builds.rebuild_image(Actor(cast.member), image),
    lambda cast, image: builds.roll_back_image(Actor(cast.member), image, 1),
    lambda cast, image: alterations.alter_image(
        Actor(cast.member), factories.make_alteration(image)
    ),
]


@pytest.mark.parametrize("verb", VERBS)
def test_one_build_at_a_time(
    verb: Callable[[Cast, ManagedImage], object], cast: Cast, image: ManagedImage
) -> None:
    builds.rebuild_image(Actor(cast.member), image)
    with pytest.raises(Conflict, match="being built already"):
        verb(cast, image)


def test_cancelling_nothing_is_a_conflict(cast: Cast, image: ManagedImage) -> None:
    with pytest.raises(Conflict, match="No build of churn is under way"):
        builds.cancel_build(Actor(cast.member), image)


# --- an image that is there already -----------------------------------------------------------------------

NEW = {"name": "mine", "image_type": "all", "python_version": "3.11", "os_packages": ""}


def ask(cast: Cast, text: str, **more: str) -> Any:
    new = reverse("new_image", kwargs={"workspace_id": cast.workspace.pk})
    return cast.client(cast.member).post(new, {**NEW, "pip_requirements": text, **more})


@pytest.mark.slow
def test_who_asks_for_what_an_image_has_is_told_of_it_and_may_build_it_anyway(
    cast: Cast, image: ManagedImage
) -> None:
    answer = ask(cast, "NumPy>=2.4,<3")
    assert b"An image with all of this already exists" in answer.content
    assert b">churn</a>" in answer.content
    assert not ManagedImage.objects.filter(name="mine").exists()
    ask(cast, "NumPy>=2.4,<3", build_anyway="1")
    assert ManagedImage.objects.filter(name="mine").exists()


@pytest.mark.parametrize("text", ["numpy<2", "numpy\npandas", "numpy[extra]"])
def test_an_image_that_lacks_something_is_not_offered(
    text: str, cast: Cast, image: ManagedImage
) -> None:
    assert ask(cast, text).status_code == 302
