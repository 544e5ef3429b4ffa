"""Drift on the pages: the pane, the image, the models that run on it, and the state of the registry."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from images.jobs import repair, sweep, verified_names
from images.models import (
    BaseImage,
    Drift,
    FindingCode,
    ManagedImage,
    Status,
    UnknownRepository,
    Wish,
)
from images.models.lease import WorkState
from images.operations import drift as drifts
from images.operations import unknown_repositories
from ri_platform.errors import Conflict
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent

SAID = "The repository rime-managed-images/lost of build 1 of lost is not in the registry."


@pytest.fixture
def lost(cast: Cast, base: BaseImage, sent: list[object]) -> ManagedImage:
    image = factories.make_image("lost", base=base, created_by=cast.member)
    assert image.current_build is not None
    drifts.record_drift(image.current_build, [FindingCode.REPOSITORY_MISSING], [SAID])
    return image


def page(cast: Cast, route: str, *arguments: object) -> str:
    answer = cast.client(cast.member).get(reverse(route, args=[cast.workspace.pk, *arguments]))
    assert answer.status_code == 200
    return answer.content.decode()


def refused() -> None:
    Drift.objects.update(
        error_code="registry_denied",
        error_message="AWS refused ecr:PutImage (AccessDenied): no.",
        error_hint="An operator must allow ecr:PutImage for this worker's role, as documented.",
        attempts=2,
        due_at=timezone.now(),
    )


def hopeless() -> None:
    Drift.objects.update(
        state=WorkState.FAILED,
        error_code="cannot_be_made_again",
        error_message="The layer libgomp1 would be another today.",
        error_hint="Rebuild it.",
    )


@pytest.mark.slow
def test_an_image_that_is_being_pushed_again(cast: Cast, lost: ManagedImage) -> None:
    text = page(cast, "image", "lost")
    assert "This image is being pushed again" in text
    assert SAID in text
    assert "Rebuild lost" not in text
    assert "Being pushed again" in page(cast, "images")


@pytest.mark.slow
def test_what_aws_refuses_is_said_with_its_words_and_the_next_attempt(
    cast: Cast, lost: ManagedImage
) -> None:
    refused()
    text = page(cast, "image", "lost")
    assert "AWS refused ecr:PutImage" in text
    assert "Tried 2 times; the next attempt is at" in text
    assert "Not whole in the registry" in page(cast, "images")


@pytest.mark.slow
def test_what_cannot_be_made_again_is_said_with_a_rebuild(cast: Cast, lost: ManagedImage) -> None:
    hopeless()
    text = page(cast, "image", "lost")
    assert "cannot be pushed again as it was" in text
    assert "would be another today" in text
    assert "Rebuild lost" in text
    assert "Lost in the registry" in page(cast, "images")
    # Nobody but its owners rebuilds it.
    viewed = cast.client(cast.viewer).get(reverse("image", args=[cast.workspace.pk, "lost"]))
    assert b"Rebuild lost" not in viewed.content


@pytest.mark.slow
def test_repair_that_is_turned_off_is_said(cast: Cast, lost: ManagedImage, settings: Any) -> None:
    settings.HEAL_DRIFT = False
    assert "RI_HEAL_DRIFT" in page(cast, "image", "lost")


@pytest.mark.slow
def test_models_tell_of_the_image_that_they_run_on(cast: Cast, lost: ManagedImage) -> None:
    model = factories.make_model(cast.workspace, image=lost)
    hopeless()
    assert "Lost in the registry" in page(cast, "models")
    text = page(cast, "model", model.pk)
    assert "cannot be pushed again as it was" in text
    assert "See the image lost" in text


@pytest.mark.slow
def test_a_drift_of_what_is_no_longer_in_use_is_closed(
    cast: Cast, lost: ManagedImage, base: BaseImage
) -> None:
    verified_names.end_forgotten()
    assert Drift.objects.open().exists()
    lost.current_build = factories.make_build(lost, base, Status.READY, number=2)
    lost.save()
    verified_names.end_forgotten()
    assert not Drift.objects.open().exists()
    assert "pushed again" not in page(cast, "image", "lost")


@pytest.mark.slow
def test_a_healed_image_says_nothing_more(cast: Cast, lost: ManagedImage) -> None:
    assert lost.current_build is not None
    drifts.record_sound(lost.current_build, deep=False)
    assert "pushed again" not in page(cast, "image", "lost")
    told = AuditEvent.objects.filter(object_name="lost").order_by("pk")
    assert [event.event for event in told] == ["image.drifted", "image.healed"]


def test_the_page_of_the_registry_lists_drifts_and_what_no_record_knows(
    cast: Cast, lost: ManagedImage
) -> None:
    refused()
    for name in ("newer", "base/all-3.11"):
        factories.make_unknown_repository(name)
    answer = cast.client(cast.admin).get(reverse("registry_status"))
    text = answer.content.decode()
    assert SAID in text
    assert "AWS refused ecr:PutImage" in text
    assert "Images that no record knows" in text
    assert 'aria-label="Adopt newer"' in text
    # These are imported.
    assert 'aria-label="Adopt base/all-3.11"' not in text
    assert f'href="{reverse("image_by_name", args=["lost"])}"' in text


@pytest.mark.slow
def test_digests_are_shortened_in_the_reason(cast: Cast, lost: ManagedImage) -> None:
    digest = f"sha256:{'9f86d081' * 8}"
    hopeless()
    Drift.objects.update(error_message=f"The layer libgomp1 was {digest}.")
    for text in (
        page(cast, "image", "lost"),
        cast.client(cast.admin).get(reverse("registry_status")).content.decode(),
    ):
        assert "The layer libgomp1 was sha256:9f86d0819f86…." in text
        assert digest not in text


@pytest.mark.slow
def test_an_administrator_adopts_and_deletes_what_no_record_knows(
    cast: Cast, sent: list[object]
) -> None:
    adopted = factories.make_unknown_repository("newer")
    deleted = factories.make_unknown_repository("unwanted")
    client = cast.client(cast.admin)
    asked = client.get(reverse("delete_repository", args=["unwanted"]))
    assert b"No record knows the repository" in asked.content
    for route, row in (("adopt_repository", adopted), ("delete_repository", deleted)):
        answer = client.post(reverse(route, args=[row.name]))
        assert answer.status_code == 302
    wishes = dict(UnknownRepository.objects.values_list("name", "wish"))
    assert wishes == {"newer": Wish.ADOPT, "unwanted": Wish.DELETE}
    assert "Being adopted" in client.get(reverse("registry_status")).content.decode()
    assert client.post(reverse("adopt_repository", args=["nowhere"])).status_code == 404
    assert (
        cast.client(cast.manager).post(reverse("adopt_repository", args=["newer"])).status_code
        == 403
    )


def test_base_images_are_imported_not_adopted(cast: Cast) -> None:
    factories.make_unknown_repository("base/all-3.11")
    with pytest.raises(Conflict, match="imported, not adopted"):
        unknown_repositories.adopt_repository(Actor(cast.admin), "base/all-3.11")


def test_an_operator_has_it_pushed_again_at_once(
    cast: Cast, lost: ManagedImage, sent: list[object], django_capture_on_commit_callbacks: Any
) -> None:
    hopeless()
    with django_capture_on_commit_callbacks(execute=True):
        drifts.push_again(Actor(cast.admin), Drift.objects.get())
    assert Drift.objects.get().state == WorkState.QUEUED
    assert len(sent) == 1
    Drift.objects.update(state=WorkState.SUCCEEDED)
    with pytest.raises(Conflict):
        drifts.push_again(Actor(cast.admin), Drift.objects.get())


@pytest.mark.slow
def test_a_tag_that_somebody_moved_is_told_and_left_to_people(
    cast: Cast, base: BaseImage, sent: list[object]
) -> None:
    image = factories.make_image("moved", base=base, created_by=cast.member)
    assert image.current_build is not None
    drift = drifts.record_drift(image.current_build, [FindingCode.TAG_MOVED], ["It is another."])
    assert drift is not None
    Drift.objects.update(due_at=timezone.now(), repository_made=True)
    sweep.sweep()
    assert sent == []
    repair.restore_repository(drift.pk)
    repair.push_again(drift.pk)
    drift.refresh_from_db()
    assert (drift.state, drift.attempts) == (WorkState.QUEUED, 0)
    with pytest.raises(Conflict, match="Only people"):
        drifts.push_again(Actor(cast.admin), drift)
    text = page(cast, "image", "moved")
    assert "A pull by digest still gets this image" in text
    assert "being pushed again" not in text
