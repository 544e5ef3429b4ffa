"""The REST API: what it answers, in which shape, and what it tells of what is wrong."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from django.test import Client

from images.models import BaseImage, ManagedImage, Status
from images.models.lease import WorkState
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.models import AuditEvent


@pytest.mark.slow
def test_create_answers_the_image_and_its_job(ask: Ask, cast: Cast, base: BaseImage) -> None:
    answer = ask(
        cast.member,
        "POST",
        "/v1/images",
        {"name": "churn", "pipRequirements": [{"name": "numpy", "versionSpecifier": "2.4.6"}]},
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["image"]["status"] == "STATUS_BUILDING_FIRST_TIME"
    assert body["image"]["imageType"] == "all"
    assert body["image"]["pythonVersion"] == "3.11"
    assert body["image"]["latestBuild"]["state"] == "queued"
    assert body["job"]["jobType"] == "JOB_TYPE_IMAGE_BUILDER"
    event = AuditEvent.objects.get(event="image.created")
    assert (event.user, event.token_name, event.address) == (cast.member, "test", "127.0.0.1")


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "name", "name: Field required."),
        ({"name": "a1", "pipRequirements": [{"nam": "x"}]}, "pipRequirements[0].name", "required"),
        ({"name": "a1", "pipRequirements": "x"}, "pipRequirements", "valid list"),
        ({"name": "a1"}, "pipRequirements", "Name at least one library."),
        ({"name": "a1", "imageType": "other"}, "imageType", "'all', 'images', 'nlp' or 'tabular'"),
        ({"name": "a\x00", "pipRequirements": [{"name": "x"}]}, "name", "control character"),
        ("not an object", "name", "Field required"),
    ],
)
def test_a_wrong_field_is_named(
    body: Any, field: str, words: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    answer = ask(cast.member, "POST", "/v1/images", body)
    assert answer.status_code == 400
    error = answer.json()
    assert error["code"] == 3
    assert words in error["message"]
    assert field in [item["field"] for item in error["details"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/images/nobody", None, 404),
        ("GET", "/v1/images/%00", None, 400),
        ("DELETE", "/v1/images/nobody", None, 404),
        ("POST", "/v1/images/list", {"pageToken": "made-up"}, 400),
        ("POST", "/v1/images/list", {"pageSize": 0}, 400),
        ("PUT", "/v1/images/nobody", None, 405),
        ("POST", "/internal/images/update-info", {}, 404),
        ("GET", "/v1/nothing", None, 404),
        ("POST", "/v1/images/ready/builds", None, 405),
        ("GET", "/v1/images/ready/builds/99999999999/log", None, 404),
    ],
)
@pytest.mark.slow
def test_errors_have_one_shape_which_the_client_reads_as_a_python_literal(
    method: str, path: str, body: Any, status: int, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("ready", base=base)
    answer = ask(cast.admin, method, path, body)
    assert answer.status_code == status
    error = ast.literal_eval(answer.content.decode())
    assert set(error) == {"code", "message", "details"}
    assert error["message"].endswith(".")


def test_a_body_that_is_no_json_is_told(cast: Cast, token_for: Any) -> None:
    answer = Client().post(
        "/v1/images",
        b"{nonsense",
        content_type="application/json",
        headers={"rime-api-key": token_for(cast.member)},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


@pytest.mark.slow
def test_pages_carry_their_filters_and_end_with_the_token_that_was_asked(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    for number in range(5):
        libraries = {"numpy": "2"} if number % 2 == 0 else {"pandas": "3"}
        factories.make_image(f"i{number}", base=base, libraries=libraries)
    body: dict[str, Any] = {"pageSize": 2, "pipLibraries": [{"name": "NumPy"}]}
    first = ask(cast.viewer, "POST", "/v1/images/list", body).json()
    assert [image["name"] for image in first["images"]] == ["i0", "i2"]
    token = first["nextPageToken"]
    second = ask(cast.viewer, "POST", "/v1/images/list", {"pageSize": 2, "pageToken": token}).json()
    assert [image["name"] for image in second["images"]] == ["i4"]
    assert second["nextPageToken"] == token
    everything = ask(cast.viewer, "GET", "/v1/images?pageSize=200").json()
    assert (len(everything["images"]), everything["nextPageToken"]) == (5, "")


@pytest.mark.slow
def test_a_removed_image_is_in_no_list(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image("gone", base=base, libraries={"numpy": "2"})
    assert ask(cast.member, "DELETE", "/v1/images/gone").status_code == 403
    answer = ask(cast.admin, "DELETE", "/v1/images/gone")
    assert (answer.status_code, answer.json()) == (200, {})
    for body in ({}, {"pipLibraries": [{"name": "numpy"}]}):
        assert ask(cast.admin, "POST", "/v1/images/list", body).json()["images"] == []
    wanted = {"pipRequirements": [{"name": "numpy"}]}
    assert ask(cast.admin, "POST", "/v1/images:match", wanted).json()["matches"] == []


@pytest.mark.slow
def test_alter_keeps_what_is_not_said(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base, created_in=cast.workspace)
    answer = ask(
        cast.member,
        "PATCH",
        "/v1/images/churn",
        {"pipRequirements": [{"name": "numpy", "versionSpecifier": ">=2"}, {"name": "pandas"}]},
    )
    assert answer.status_code == 200, answer.content
    image = answer.json()["image"]
    assert image["status"] == "STATUS_REBUILDING"
    assert [item["name"] for item in image["pipRequirements"]] == ["numpy", "pandas"]
    assert (image["pythonVersion"], image["currentBuild"]) == ("3.11", 1)
    assert image["latestBuild"]["reason"] == "alter"
    same = ask(cast.member, "PATCH", "/v1/images/churn", {})
    assert same.status_code == 400
    again = ask(cast.member, "PATCH", "/v1/images/churn", {"allowSource": False})
    assert again.status_code == 400
    assert "asked for already" in again.json()["message"]


@pytest.mark.slow
def test_a_build_is_rebuilt_cancelled_and_rolled_back(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base, created_in=cast.workspace)
    assert ask(cast.member, "POST", "/v1/images/churn:rebuild").status_code == 200
    busy = ask(cast.member, "POST", "/v1/images/churn:rebuild")
    assert (busy.status_code, busy.json()["code"]) == (409, 6)
    cancelled = ask(cast.member, "POST", "/v1/images/churn:cancel").json()["image"]
    assert (cancelled["status"], cancelled["latestBuild"]["state"]) == ("STATUS_READY", "cancelled")
    done = factories.make_build(image, base, Status.READY, number=3)
    ManagedImage.objects.filter(pk=image.pk).update(current_build=done)
    back = ask(cast.member, "POST", "/v1/images/churn:rollBack", {"build": 1}).json()["image"]
    assert back["latestBuild"]["reason"] == "roll_back"
    builds = ask(cast.viewer, "GET", "/v1/images/churn/builds").json()["builds"]
    assert [build["number"] for build in builds] == [4, 3, 2, 1]


def test_the_log_is_read_in_pieces_and_the_lock_is_a_file(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base)
    build = image.builds.get()
    build.log_chunks.create(offset=0, text="Resolving\n")
    build.log_chunks.create(offset=10, text="Ready\n")
    whole = ask(cast.viewer, "GET", "/v1/images/churn/builds/1/log").json()
    assert whole == {"text": "Resolving\nReady\n", "offset": 16, "done": True}
    rest = ask(cast.viewer, "GET", "/v1/images/churn/builds/1/log?after=10").json()
    assert rest["text"] == "Ready\n"
    lock = ask(cast.viewer, "GET", "/v1/images/churn/lock")
    assert lock["Content-Type"] == "application/toml"
    assert b'name = "numpy"' in lock.content


def test_a_failed_build_tells_why(ask: Ask, cast: Cast, base: BaseImage) -> None:
    factories.make_image("broken", base=base, status=Status.FAILED)
    image = ask(cast.viewer, "GET", "/v1/images/broken").json()["image"]
    assert image["status"] == "STATUS_FAILED"
    assert image["latestBuild"]["error"]["reason"] == "resolution_failed"
    assert image["latestBuild"]["error"]["hint"] == "Check the spelling of the library's name."


def test_base_images_are_system_images_with_their_children(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("child", base=base)
    factories.make_base_image(image_type="nlp", state=WorkState.QUEUED)
    (image,) = ask(cast.viewer, "GET", "/v1/base-images").json()["images"]
    assert image["roleType"] == "ROLE_TYPE_SYSTEM"
    assert [child["name"] for child in image["childImages"]] == ["child"]
    assert image["rimeTag"] == base.platform_version
    assert (image["libc"], image["machine"]) == ("glibc 2.36", "x86_64")


def test_base_images_on_their_way_are_told_where_asked_for(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    factories.make_base_image(
        image_type="nlp",
        state=WorkState.FAILED,
        error_code="base_image_unusable",
        error_message="It has no Python.",
    )
    found = ask(cast.viewer, "GET", "/v1/base-images?all=true").json()["images"]
    assert [(image["imageType"], image["status"]) for image in found] == [
        ("all", "STATUS_READY"),
        ("nlp", "STATUS_FAILED"),
    ]
    assert found[1]["error"]["message"] == "It has no Python."


@pytest.mark.slow
def test_images_are_searched_and_filtered_by_status_over_pages(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    for number in range(3):
        factories.make_image(f"churn-{number}", base=base)
    factories.make_image("churn-broken", base=base, status=Status.FAILED)
    factories.make_image("other", base=base, libraries={"churnlib": "1"})
    path = "/v1/images?search=churn&status=STATUS_READY&pageSize=2"
    first = ask(cast.viewer, "GET", path).json()
    assert [image["name"] for image in first["images"]] == ["churn-0", "churn-1"]
    token = first["nextPageToken"]
    second = ask(cast.viewer, "GET", f"/v1/images?pageSize=2&pageToken={token}").json()
    assert [image["name"] for image in second["images"]] == ["churn-2", "other"]
    body = {"pipLibraries": [{"name": "churnlib"}], "search": "oth"}
    found = ask(cast.viewer, "POST", "/v1/images/list", body).json()["images"]
    assert [image["name"] for image in found] == ["other"]
    assert ask(cast.viewer, "GET", "/v1/images?status=nothing").status_code == 400


@pytest.mark.slow
def test_match_answers_the_best_first_and_what_the_others_lack(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("small", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0.1"})
    factories.make_image(
        "large", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0.1", "scipy": "1.18"}
    )
    factories.make_image("older", base=base, libraries={"numpy": "1.26.4", "pandas": "3.0.1"})
    factories.make_image("other", base=base, libraries={"torch": "2.9"})
    factories.make_image("late", base=base, libraries={"numpy": "2.4.6"}, status=Status.OUTDATED)
    wanted = {
        "pipRequirements": [
            {"name": "NumPy", "versionSpecifier": ">=2"},
            {"name": "pandas", "versionSpecifier": "~=3.0"},
        ]
    }
    matches = ask(cast.viewer, "POST", "/v1/images:match", wanted).json()["matches"]
    assert [(m["image"]["name"], m["satisfies"]) for m in matches] == [
        ("small", True),
        ("large", True),
        # What is missing can be added; a conflict may be there for a reason. Outdated, it is usable.
        ("late", False),
        ("older", False),
    ]
    assert matches[3]["missing"] == [{"requirement": "NumPy>=2", "installed": "1.26.4"}]
    nothing = ask(
        cast.viewer, "POST", "/v1/images:match", {**wanted, "pythonVersion": "3.13"}
    ).json()
    assert nothing == {"matches": []}


@pytest.mark.slow
def test_extras_and_os_packages_count_only_where_they_were_asked_for(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("dask-array", base=base, libraries={"dask": "2026.1"})
    factories.make_image("dask-plain", base=base, libraries={"dask": "2026.1"})
    image.pip_requirements = [{"name": "dask", "extras": ["array"], "specifier": ""}]
    image.os_packages = [{"name": "libgomp1", "version": ""}]
    image.save()
    image.builds.update(spec=image.spec)
    wanted = {
        "pipRequirements": [{"name": "dask[array]"}],
        "packageRequirements": [{"name": "libgomp1"}],
    }
    matches = ask(cast.viewer, "POST", "/v1/images:match", wanted).json()["matches"]
    assert [(m["image"]["name"], m["satisfies"]) for m in matches] == [("dask-array", True)]


def test_off_means_off_for_the_api_too(
    ask: Ask, cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.IMAGE_REGISTRY_ENABLED = False
    for method, path in (
        ("GET", "/v1/images"),
        ("GET", "/v1/base-images"),
        ("GET", "/v1/images/x1"),
    ):
        answer = ask(cast.admin, method, path)
        assert (answer.status_code, answer.json()["code"]) == (503, 14)


@pytest.mark.slow
def test_a_list_costs_the_same_queries_at_any_length(
    ask: Ask, cast: Cast, base: BaseImage, django_assert_num_queries: Any
) -> None:
    factories.make_image("first", base=base)
    ask(cast.viewer, "GET", "/v1/images")
    with django_assert_num_queries(3):
        ask(cast.viewer, "GET", "/v1/images")
    factories.make_images([f"more-{number}" for number in range(30)], base=base)
    # What is new to this process is read: the images, their libraries, their checks and their drifts.
    with django_assert_num_queries(7):
        ask(cast.viewer, "GET", "/v1/images?pageSize=100")
    with django_assert_num_queries(3):
        ask(cast.viewer, "GET", "/v1/images?pageSize=100")


@pytest.mark.slow
def test_the_openapi_document_is_served_with_docs_of_our_own_assets() -> None:
    document = Client().get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/v1/images/{name}:rebuild" in document["paths"]
    docs = Client().get("/api/docs")
    assert docs.status_code == 200
    assert b"//cdn" not in docs.content
    assert json.dumps(document).count("rime-api-key") >= 1
