"""By REST: what the registry lacks of images, and the repositories in it that no record knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images.models import BaseImage, Drift, FindingCode, ManagedImage, UnknownRepository, Wish
from images.models.lease import WorkState
from images.models.verification import Verification
from images.operations import drift as drifts
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.models import AuditEvent

SAID = "The repository rime-managed-images/lost of build 1 of lost is not in the registry."
REFUSED = {
    "reason": "registry_denied",
    "message": "AWS refused ecr:PutImage (AccessDenied): no.",
    "hint": "An operator must allow ecr:PutImage.",
}
LISTED = "/v1/image-registry/drifts"
UNKNOWN = "/v1/image-registry/unknown-repositories"


@pytest.fixture
def lost(cast: Cast, base: BaseImage) -> ManagedImage:
    image = factories.make_image("lost", base=base, created_by=cast.member)
    assert image.current_build is not None
    drifts.record_drift(image.current_build, [FindingCode.REPOSITORY_MISSING], [SAID])
    return image


def refuse(state: WorkState = WorkState.QUEUED) -> None:
    Drift.objects.update(
        state=state,
        error_code=REFUSED["reason"],
        error_message=REFUSED["message"],
        error_hint=REFUSED["hint"],
        attempts=2,
        due_at=timezone.now() + timedelta(minutes=5),
    )


def image_of(ask: Ask, cast: Cast, name: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(cast.viewer, "GET", f"/v1/images/{name}").json()["image"]
    return found


@pytest.mark.slow
def test_an_image_tells_what_the_registry_lacks_of_it(
    ask: Ask, cast: Cast, lost: ManagedImage
) -> None:
    image = image_of(ask, cast, "lost")
    assert image["status"] == "STATUS_READY"
    told = image["drift"]
    assert (told["state"], told["attempts"]) == ("healing", 0)
    assert (told["codes"], told["findings"]) == (["repository_missing"], [SAID])
    assert told["discoveryTime"]
    assert not {"error", "nextAttemptTime"} & set(told)
    (listed,) = ask(cast.viewer, "GET", "/v1/images").json()["images"]
    assert listed["drift"] == told


@pytest.mark.slow
def test_what_aws_refuses_is_told_with_its_words_and_the_next_attempt(
    ask: Ask, cast: Cast, lost: ManagedImage
) -> None:
    refuse()
    told = image_of(ask, cast, "lost")["drift"]
    assert (told["state"], told["attempts"], told["error"]) == ("waiting", 2, REFUSED)
    assert told["nextAttemptTime"] > told["discoveryTime"]


@pytest.mark.slow
def test_what_cannot_be_made_again_and_what_nobody_repairs_are_told_apart(
    ask: Ask, cast: Cast, lost: ManagedImage, settings: Any
) -> None:
    settings.HEAL_DRIFT = False
    assert image_of(ask, cast, "lost")["drift"]["state"] == "not_healed"
    refuse(WorkState.FAILED)
    told = image_of(ask, cast, "lost")["drift"]
    assert (told["state"], told["error"]) == ("lost", REFUSED)
    assert "rebuild" in told["hint"]


@pytest.mark.slow
def test_a_whole_image_has_no_drift(ask: Ask, cast: Cast, lost: ManagedImage) -> None:
    assert lost.current_build is not None
    drifts.record_sound(lost.current_build, deep=False)
    assert "drift" not in image_of(ask, cast, "lost")
    assert ask(cast.admin, "GET", LISTED).json() == {"drifts": [], "nextPageToken": ""}


@pytest.mark.slow
def test_all_drifts_are_listed_in_pages_also_of_base_images(
    ask: Ask, cast: Cast, base: BaseImage, lost: ManagedImage
) -> None:
    drifts.record_drift(base, [FindingCode.BLOB_MISSING], ["A blob is gone."])
    first = ask(cast.admin, "GET", f"{LISTED}?pageSize=1").json()
    (of_image,) = first["drifts"]
    assert (of_image["name"], of_image["build"]) == ("lost", 1)
    assert of_image["roleType"] == "ROLE_TYPE_USER_DEFINED"
    token = first["nextPageToken"]
    second = ask(cast.admin, "GET", f"{LISTED}?pageSize=1&pageToken={token}").json()
    (of_base,) = second["drifts"]
    assert (of_base["name"], of_base["roleType"]) == (str(base), "ROLE_TYPE_SYSTEM")
    assert of_base["digest"] == base.manifest_digest
    refuse(WorkState.FAILED)
    (_, of_base) = ask(cast.admin, "GET", LISTED).json()["drifts"]
    assert "Import it again" in of_base["hint"]
    assert second["nextPageToken"] == token
    (shown,) = ask(cast.viewer, "GET", "/v1/base-images").json()["images"]
    assert shown["drift"]["codes"] == ["blob_missing"]
    assert ask(cast.admin, "GET", f"{LISTED}?pageToken=x").status_code == 400
    assert ask(cast.manager, "GET", LISTED).status_code == 403


@pytest.mark.slow
def test_the_looks_at_the_registry_are_told(ask: Ask, cast: Cast) -> None:
    told = ask(cast.admin, "GET", "/v1/image-registry").json()
    assert not {"lastLook", "currentLook"} & set(told)
    ended = {"state": WorkState.SUCCEEDED, "finished_at": timezone.now()}
    Verification.objects.create(total=2, seen=2, requests=9, findings=[{"code": "x"}], **ended)
    Verification.objects.create(total=3, seen=1)
    told = ask(cast.admin, "GET", "/v1/image-registry").json()
    last, current = told["lastLook"], told["currentLook"]
    assert (last["seen"], last["requests"], last["findings"]) == (2, 9, 1)
    assert last["completionTime"]
    assert (current["seen"], current["total"], "completionTime" in current) == (1, 3, False)


@pytest.mark.slow
def test_repositories_whose_upkeep_is_refused_are_told(ask: Ask, cast: Cast) -> None:
    told = ask(cast.admin, "GET", "/v1/image-registry").json()
    assert (told["refusedRepositoryCount"], told["refusedRepositories"]) == (0, [])
    row = factories.make_refused_repository("rime-managed-images/refused")
    told = ask(cast.admin, "GET", "/v1/image-registry").json()
    assert told["refusedRepositoryCount"] == 1
    (refused,) = told["refusedRepositories"]
    assert (refused["repository"], refused["attempts"]) == (row.repository, 2)
    assert refused["error"]["reason"] == "registry_denied"
    assert "ecr:PutLifecyclePolicy" in refused["error"]["hint"]
    assert refused["firstFailureTime"] < refused["nextAttemptTime"]


@pytest.mark.slow
def test_unknown_repositories_are_listed_in_pages_with_what_went_wrong(
    ask: Ask, cast: Cast
) -> None:
    for name in ("base/all-3.11", "newer", "other"):
        factories.make_unknown_repository(name)
    UnknownRepository.objects.filter(name="newer").update(
        error_code=REFUSED["reason"],
        error_message=REFUSED["message"],
        error_hint=REFUSED["hint"],
    )
    first = ask(cast.admin, "GET", f"{UNKNOWN}?pageSize=2").json()
    assert [item["name"] for item in first["repositories"]] == ["base/all-3.11", "newer"]
    newer = first["repositories"][1]
    assert (newer["builds"], newer["knownImage"], newer["decision"]) == ([1], False, "")
    assert newer["error"] == REFUSED
    token = first["nextPageToken"]
    second = ask(cast.admin, "GET", f"{UNKNOWN}?pageSize=2&pageToken={token}").json()
    assert [item["name"] for item in second["repositories"]] == ["other"]
    assert second["nextPageToken"] == token
    assert ask(cast.manager, "GET", UNKNOWN).status_code == 403


@pytest.mark.slow
def test_an_administrator_adopts_and_deletes(ask: Ask, cast: Cast) -> None:
    for name in ("newer", "unwanted", "base/all-3.11"):
        factories.make_unknown_repository(name)
    for verb, name in (("adopt", "newer"), ("delete", "unwanted")):
        assert ask(cast.manager, "POST", f"{UNKNOWN}:{verb}", {"name": name}).status_code == 403
        told = ask(cast.admin, "POST", f"{UNKNOWN}:{verb}", {"name": name}).json()["repository"]
        assert (told["name"], told["decision"]) == (name, verb)
    wishes = dict(UnknownRepository.objects.values_list("name", "wish"))
    assert wishes == {"newer": Wish.ADOPT, "unwanted": Wish.DELETE, "base/all-3.11": Wish.NONE}
    events = AuditEvent.objects.filter(object_type="repository").order_by("pk")
    assert [event.event for event in events] == [
        "repository.adoption_requested",
        "repository.deletion_requested",
    ]
    refused = ask(cast.admin, "POST", f"{UNKNOWN}:adopt", {"name": "base/all-3.11"})
    assert (refused.status_code, refused.json()["details"][0]["reason"]) == (409, "conflict")
    assert ask(cast.admin, "POST", f"{UNKNOWN}:delete", {"name": "nowhere"}).status_code == 404
    assert ask(cast.admin, "POST", f"{UNKNOWN}:adopt", {"name": ""}).status_code == 400


def test_nothing_is_decided_where_managed_images_are_turned_off(
    ask: Ask, cast: Cast, settings: Any
) -> None:
    factories.make_unknown_repository("newer")
    settings.IMAGE_REGISTRY_ENABLED = False
    assert ask(cast.admin, "POST", f"{UNKNOWN}:adopt", {"name": "newer"}).status_code == 503
