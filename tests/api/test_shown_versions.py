"""What is remembered of images is never older than their rows, and of pages never somebody else's."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from images.models import (
    BaseImage,
    Build,
    Drift,
    FindingCode,
    ImportCheck,
    ManagedImage,
    MovingTag,
    Status,
)
from images.models.lease import WorkState
from images.operations.drift import record_drift
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.models import User, Workspace

Change = Callable[[ManagedImage], object]


def check(image: ManagedImage) -> None:
    assert image.current_build is not None
    ImportCheck.objects.create(
        build=image.current_build, manifest_digest=image.current_build.manifest_digest,
        state=WorkState.SUCCEEDED, result="passed", tried=3, seconds=1,
    )  # fmt: skip


def build_again(image: ManagedImage) -> None:
    build = factories.make_build(image, BaseImage.objects.get(), Status.READY, 2, size_bytes=7)
    ManagedImage.objects.filter(pk=image.pk).update(current_build=build)


def lose(image: ManagedImage) -> None:
    assert image.current_build is not None
    record_drift(image.current_build, [FindingCode.REPOSITORY_MISSING], ["It is gone."])


OWNER = User.objects.filter(username__in=["member", "other"])
# A change of a row that a page or an answer tells of; whether the pane and the list tell of it.
CHANGES: dict[str, tuple[Change, bool, bool]] = {
    "image": (lambda image: ManagedImage.objects.update(description="Other words"), True, True),
    "owner": (lambda image: OWNER.update(username="other"), True, True),
    "owner goes": (lambda image: OWNER.update(is_active=False), True, True),
    "workspace": (lambda image: Workspace.objects.update(name="another"), True, True),
    "check": (check, True, True),
    "check ends": (lambda image: ImportCheck.objects.update(tried=9), True, True),
    "drift": (lose, True, True),
    "drift waits": (lambda image: Drift.objects.update(error_code="x", attempts=1), True, True),
    "build": (build_again, True, True),
    "base": (lambda image: BaseImage.objects.update(platform_version="9"), False, True),
    "attempt": (
        lambda image: factories.make_build(image, BaseImage.objects.get(), Status.FAILED, 3), False, False,
    ),
    "retold": (lambda image: Build.objects.filter(number=3).update(error_message="Told"), False, False),
    "queued": (
        lambda image: factories.make_build(image, BaseImage.objects.get(), Status.BUILDING_FIRST_TIME, 4),
        False, False,
    ),
    "foreseen": (
        lambda image: Build.objects.filter(number=4).update(foreseen_digest=factories.digest(4)),
        False, False,
    ),
    "tag": (
        lambda image: MovingTag.objects.create(image=image, name="stable", build=image.builds.all()[1]),
        False, False,
    ),
}  # fmt: skip


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    Workspace.objects.exclude(pk=cast.workspace.pk).delete()
    return factories.make_image(
        "churn", base=base, created_by=cast.member, created_in=cast.workspace
    )


@pytest.mark.slow
def test_each_change_of_a_row_is_told_at_once(cast: Cast, image: ManagedImage, ask: Ask) -> None:
    client = cast.client(cast.admin)
    pane = reverse("images", kwargs={"workspace_id": cast.workspace.pk})

    def rows() -> str:
        return re.sub(r".*<tbody>|</tbody>.*", "", client.get(pane).content.decode(), flags=re.S)

    def told() -> tuple[str, str, str]:
        # Twice: what the first reads, the second has from memory.
        found = [
            (
                rows(),
                ask(cast.admin, "GET", "/v1/images").content,
                ask(cast.admin, "GET", "/v1/images/churn").content,
            )
            for _ in range(2)
        ]
        assert found[0] == found[1]
        return found[1]

    before = told()
    for name, (change, in_pane, in_list) in CHANGES.items():
        change(image)
        image.refresh_from_db()
        after = told()
        assert (before[0] != after[0]) >= in_pane, name
        assert (before[1] != after[1]) == in_list, name
        assert before[2] != after[2], name
        before = after


@pytest.mark.slow
def test_a_removed_image_is_told_no_more(cast: Cast, image: ManagedImage, ask: Ask) -> None:
    assert ask(cast.viewer, "GET", "/v1/images/churn").status_code == 200
    assert b"churn" in ask(cast.viewer, "GET", "/v1/images").content
    ManagedImage.objects.update(removed_at="2026-01-01T00:00Z", deletion_due_at="2030-01-01T00:00Z")
    assert ask(cast.viewer, "GET", "/v1/images/churn").status_code == 404
    assert b"churn" not in ask(cast.viewer, "GET", "/v1/images").content


@pytest.mark.slow
def test_a_remembered_page_is_its_readers_own(cast: Cast, image: ManagedImage) -> None:
    """Of two readers each sees their own name, rights and forms, whoever came first."""
    pane = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    for _ in range(2):
        for reader, may in ((cast.admin, True), (cast.viewer, False)):
            page = cast.client(reader).get(pane).content.decode()
            assert f"<span>{reader.username}</span>" in page
            assert (f"{pane}/image/churn/remove" in page) is may
    User.objects.filter(pk=cast.viewer.pk).update(username="renamed")
    assert "<span>renamed</span>" in cast.client(cast.viewer).get(pane).content.decode()
    Workspace.objects.filter(pk=cast.workspace.pk).update(name="Moved")
    assert "Moved · Settings" in cast.client(cast.viewer).get(pane).content.decode()


@pytest.mark.slow
def test_the_forms_of_a_remembered_page_are_taken(cast: Cast, image: ManagedImage) -> None:
    pane = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    cast.client(cast.member).get(pane)
    client = Client(enforce_csrf_checks=True)
    client.cookies = cast.client(cast.member).cookies
    page = client.get(pane).content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found is not None
    token = {"csrfmiddlewaretoken": found[1]}
    assert client.post(reverse("account_logout"), token).status_code == 302


def test_a_text_that_looks_like_a_mark_stays_as_it_is(cast: Cast, image: ManagedImage) -> None:
    pane = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    page = cast.client(cast.member).get(pane, {"q": "PLACE-rows-ECALP"})
    assert b"PLACE-rows-ECALP" in page.content
