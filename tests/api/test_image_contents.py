"""What REST tells of an image beside itself: files as the console gives them, comparisons, builds, models."""

from __future__ import annotations

import json
import uuid

import pytest
from django.urls import reverse

from images.models import AwsContact, BaseImage, BuildHost, InstalledLibrary, ManagedImage, Status
from images.models.contact import Identity
from images.models.instance import MarkState
from images.operations import removal
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.mark.parametrize(
    ("what", "route", "media_type"),
    [
        ("lock", "image_lock", "application/toml"),
        ("sbom", "image_sbom", "application/vnd.cyclonedx+json"),
        ("provenance", "image_provenance", "application/vnd.in-toto+json"),
    ],
)
@pytest.mark.slow
def test_a_file_has_the_bytes_that_the_console_gives(
    what: str, route: str, media_type: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base)
    address = reverse(route, args=[cast.workspace.pk, "churn"])
    shown = cast.client(cast.viewer).get(address)
    for query in ("", "?build=1"):
        given = ask(cast.viewer, "GET", f"/v1/images/churn/{what}{query}")
        assert (given.status_code, given["Content-Type"]) == (200, media_type)
        assert given.content == shown.content
    assert ask(cast.viewer, "GET", f"/v1/images/churn/{what}?build=2").status_code == 404
    assert ask(cast.viewer, "GET", f"/v1/images/churn/{what}?build=0").status_code == 400
    newer = factories.make_build(
        image, base, Status.READY, number=2, manifest_digest=factories.digest("newer"),
        lock=factories.lock_of(numpy="2.5"),
    )  # fmt: skip
    ManagedImage.objects.update(current_build=newer)
    current = ask(cast.viewer, "GET", f"/v1/images/churn/{what}").content
    assert current != shown.content
    assert ask(cast.viewer, "GET", f"/v1/images/churn/{what}?build=1").content == shown.content


@pytest.mark.slow
def test_an_image_without_a_good_build_has_no_files(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image("broken", base=base, status=Status.FAILED)
    for what in ("lock", "sbom", "provenance", "libraries"):
        answer = ask(cast.viewer, "GET", f"/v1/images/broken/{what}")
        assert answer.status_code == 404
        assert "has succeeded yet" in answer.json()["message"]


@pytest.mark.slow
def test_two_images_are_compared(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image(
        "one", base=base, libraries={"numpy": "2.4.6", "scipy": "1.18", "six": "1"}
    )
    factories.make_image("two", base=base, libraries={"numpy": "2.5.0", "pandas": "3", "six": "1"})
    found = ask(cast.viewer, "GET", "/v1/images:compare?left=one@1&right=two").json()
    assert (found["left"]["imageName"], found["left"]["build"]) == ("one", 1)
    assert found["right"]["pipRequirements"] == [
        {"name": "numpy", "versionSpecifier": ">=2", "index": "", "hashes": []}
    ]
    assert found["libraries"] == {
        "added": [{"name": "pandas", "before": "", "after": "3"}],
        "removed": [{"name": "scipy", "before": "1.18", "after": ""}],
        "changed": [{"name": "numpy", "before": "2.4.6", "after": "2.5.0"}],
        "same": 1,
    }
    assert found["osPackages"]["changed"] == []
    for left, field in (("nobody", "left"), ("one@9", "left"), ("one@x", "left"), ("one@", "left")):
        wrong = ask(cast.viewer, "GET", f"/v1/images:compare?left={left}&right=two")
        assert (wrong.status_code, wrong.json()["details"][0]["field"]) == (404, field)
    assert ask(cast.viewer, "GET", "/v1/images:compare?left=one").status_code == 400


def test_suggestions_are_the_consoles(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn-a", base=base, libraries={"numpy": "2.4.6"})
    factories.make_image("other", base=base, libraries={"numpy": "2.5.0"})
    images = ask(cast.viewer, "GET", "/v1/images:suggest?text=churn").json()
    assert images == {"suggestions": ["churn-a"]}
    found = ask(cast.viewer, "GET", "/v1/libraries:suggest?text=num").json()
    assert found == {"suggestions": ["numpy"]}
    versions = ask(cast.viewer, "GET", "/v1/libraries:suggest?text=numpy==").json()
    assert versions == {"suggestions": ["numpy==2.5.0", "numpy==2.4.6"]}


def test_libraries_say_where_they_come_from(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base, libraries={"numpy": "2.4.6", "six": "1.17"})
    note = "six 1.17 was yanked from its index, without a reason."
    InstalledLibrary.objects.filter(name="six").update(notes=[note])
    found = ask(cast.viewer, "GET", "/v1/images/churn/libraries").json()
    assert [item["notes"] for item in found["libraries"]] == [[], [note]]
    assert found["build"] == 1
    assert [(item["name"], item["requirement"]) for item in found["libraries"]] == [
        ("numpy", "numpy>=2"),
        ("six", ""),
    ]


@pytest.mark.slow
def test_models_of_workspaces_that_one_does_not_see_are_only_counted(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base)
    seen = factories.make_model(cast.workspace, image=image, name="Seen")
    factories.make_model(factories.make_workspace(), image=image, name="Elsewhere")
    found = ask(cast.viewer, "GET", "/v1/images/churn/models").json()
    assert [item["name"] for item in found["models"]] == ["Seen"]
    assert found["models"][0]["modelId"]["uuid"] == str(seen.pk)
    assert found["others"] == 1


@pytest.mark.slow
def test_builds_come_in_pages_and_one_by_one(ask: Ask, cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("churn", base=base)
    for number in (2, 3):
        factories.make_build(image, base, Status.FAILED, number=number)
    first = ask(cast.viewer, "GET", "/v1/images/churn/builds?pageSize=2").json()
    assert [build["number"] for build in first["builds"]] == [3, 2]
    token = first["nextPageToken"]
    path = f"/v1/images/churn/builds?pageSize=2&pageToken={token}"
    second = ask(cast.viewer, "GET", path).json()
    assert [build["number"] for build in second["builds"]] == [1]
    assert second["nextPageToken"] == token
    one = ask(cast.viewer, "GET", "/v1/images/churn/builds/2").json()
    assert (one["build"]["state"], "outlook" in one) == ("failed", False)
    assert ask(cast.viewer, "GET", "/v1/images/churn/builds/4").status_code == 404


def test_a_waiting_build_tells_what_it_waits_for(ask: Ask, cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("young", base=base, status=Status.BUILDING_FIRST_TIME)
    image.repository_ready_at = None
    image.save()
    outlook = ask(cast.viewer, "GET", "/v1/images/young/builds/1").json()["outlook"]
    assert outlook == {"waitingFor": "Waiting for the image's repository."}


@pytest.mark.slow
def test_a_removed_image_is_listed_restored_and_deleted(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    for name in ("one", "two"):
        factories.make_image(name, base=base)
        removal.remove_image(Actor(cast.admin), name)
    first = ask(cast.admin, "GET", "/v1/images:removed?pageSize=1").json()
    assert [(item["name"], item["removedBy"]) for item in first["images"]] == [("one", "admin")]
    assert first["images"][0]["restorable"] is True
    token = first["nextPageToken"]
    second = ask(cast.admin, "GET", f"/v1/images:removed?pageSize=1&pageToken={token}").json()
    assert [item["name"] for item in second["images"]] == ["two"]
    assert second["nextPageToken"] == token
    assert ask(cast.member, "POST", "/v1/images/one:restore").status_code == 403
    back = ask(cast.admin, "POST", "/v1/images/one:restore")
    assert back.json()["image"]["status"] == "STATUS_READY"
    assert ask(cast.admin, "POST", "/v1/images/one:restore").status_code == 404
    assert ask(cast.admin, "POST", "/v1/images/one:delete").status_code == 404
    assert ask(cast.admin, "POST", "/v1/images/two:delete").json() == {}
    late = ask(cast.admin, "POST", "/v1/images/two:restore")
    assert (late.status_code, late.json()["code"]) == (409, 6)
    events = set(AuditEvent.objects.values_list("event", flat=True))
    assert {"image.restored", "image.deleted"} <= events


@pytest.mark.slow
def test_source_builds_are_agreed_to(ask: Ask, cast: Cast, base: BaseImage) -> None:
    BuildHost.objects.create(name="able", queue="sources")
    factories.make_image("churn", base=base, status=Status.FAILED, created_by=cast.member)
    answer = ask(cast.member, "POST", "/v1/images/churn:buildFromSource")
    assert answer.json()["image"]["allowSource"] is True
    assert answer.json()["image"]["latestBuild"]["number"] == 2


@pytest.mark.slow
def test_the_state_of_the_registry_is_told(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base)
    factories.make_instance(MarkState.FOREIGN, marked_by=str(uuid.UUID(int=1)))
    BuildHost.objects.create(name="able")
    AwsContact.objects.create(
        identity=Identity.BUILD_JOBS, tried_at=base.created_at, problem="It cannot be reached."
    )
    found = ask(cast.admin, "GET", "/v1/image-registry").json()
    assert (found["enabled"], found["repositoryPrefix"]) == (True, "rime-managed-images")
    assert found["imageCount"] == 1
    assert (found["mark"], found["markedBy"]) == ("foreign", str(uuid.UUID(int=1)))
    assert {item["identity"]: item["working"] for item in found["contacts"]} == {
        "registry": False,
        "builds": False,
    }
    assert found["buildHosts"][0]["name"] == "able"
    AwsContact.objects.update(problem="", succeeded_at=base.created_at)
    _, builds = ask(cast.admin, "GET", "/v1/image-registry").json()["contacts"]
    assert builds["working"] is True
    assert builds["successTime"] == builds["attemptTime"]
    assert found["upgrades"] == []
    json.dumps(found)


@pytest.mark.slow
def test_a_swap_that_waits_is_called_off(ask: Ask, cast: Cast, base: BaseImage) -> None:
    model = factories.make_model(cast.workspace, image=factories.make_image("old", base=base))
    factories.make_image("new", base=base, status=Status.BUILDING_FIRST_TIME)
    path = f"/v1/models/{model.pk}/image"
    waiting = ask(cast.member, "PUT", path, {"managedImageName": "new"}).json()["model"]
    assert waiting["nextImage"]["managedImageName"] == "new"
    stays = ask(cast.member, "POST", f"{path}:stopWaiting").json()["model"]
    assert (stays["image"]["managedImageName"], "nextImage" in stays) == ("old", False)
    assert ask(cast.member, "POST", f"{path}:stopWaiting").status_code == 409
