"""An image's page: its tabs, where libraries came from, and what revisions changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from images.building.locks.annotations import annotate_lock
from images.models import BaseImage, Build, InstalledLibrary, ManagedImage, Status
from images.queries.library_origins import origins
from images.views.image_page import TABS
from tests import factories
from tests.cast import Cast
from workspaces.models import Workspace

VERSIONS = {"numpy": "2.5.0", "pandas": "3.0.1", "python-dateutil": "2.9.0", "pip": "23.0"}


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    """Two revisions; the lock of the second tells who asked for what."""
    BaseImage.objects.filter(pk=base.pk).update(libraries=[["pip", "23.0"], ["numpy", "1.0"]])
    image = factories.make_image(
        "churn", base=base, libraries={"numpy": "2.4.6", "six": "1.17.0", "pip": "23.0"}
    )
    lock = factories.lock_of(**{n: v for n, v in VERSIONS.items() if n != "pip"})
    second = factories.make_build(
        image, base, Status.READY, number=2, library_count=4, reason="alter",
        lock=annotate_lock(lock, {"pandas": ["numpy", "python-dateutil"]}),
    )  # fmt: skip
    InstalledLibrary.objects.update(current_of=None)
    InstalledLibrary.objects.bulk_create(factories.libraries_of(second, VERSIONS, image.name))
    ManagedImage.objects.filter(pk=image.pk).update(current_build=second)
    image.refresh_from_db()
    return image


def shown(cast: Cast, route: str, query: str = "", **headers: str) -> Any:
    address = reverse(route, kwargs={"workspace_id": cast.workspace.pk, "name": "churn"})
    return cast.client(cast.viewer).get(address + query, headers=headers)


@pytest.mark.slow
def test_each_tab_is_an_address_and_says_that_it_is_open(cast: Cast, image: ManagedImage) -> None:
    for tab in TABS:
        page = shown(cast, tab.route).content.decode()
        inner = page.partition('class="tabs tabs-inner"')[2].partition("</nav>")[0]
        assert inner.count("aria-current") == 1
        assert f'aria-current="page">{tab.label}' in inner


@pytest.mark.slow
def test_every_tab_is_polled_while_the_image_may_change(cast: Cast, image: ManagedImage) -> None:
    ManagedImage.objects.update(status=Status.OUTDATED)
    for tab in TABS:
        page = shown(cast, tab.route)
        told = {"HX-Request": "true", "X-Fingerprint": page.context["fingerprint"]}
        assert b'hx-trigger="every' in page.content
        assert shown(cast, tab.route, **told).status_code == 204
    ManagedImage.objects.update(status=Status.READY)
    assert b"hx-trigger" not in shown(cast, "image_libraries", **told).content


@pytest.mark.slow
def test_a_tab_costs_the_same_queries_with_many_builds(
    cast: Cast, image: ManagedImage, base: BaseImage, django_assert_max_num_queries: Any
) -> None:
    for number in range(3, 40):
        factories.make_build(image, base, Status.READY, number=number)
    client = cast.client(cast.viewer)
    for tab in TABS:
        address = reverse(tab.route, kwargs={"workspace_id": cast.workspace.pk, "name": "churn"})
        with django_assert_max_num_queries(16):
            assert client.get(address).status_code == 200


@pytest.mark.slow
def test_libraries_say_where_they_came_from(cast: Cast, image: ManagedImage) -> None:
    build = image.current_build
    assert build is not None
    found = {item.name: item for item in origins(build)}
    assert (found["numpy"].requirement, found["numpy"].through) == ("numpy>=2", ("pandas",))
    assert found["numpy"].in_base is False  # The base has another version.
    assert found["python-dateutil"].through == ("pandas",)
    assert found["pip"].in_base
    assert found["pandas"].known is False
    page = shown(cast, "image_libraries").content.decode()
    assert "Asked for as <code>numpy&gt;=2</code>" in page
    assert 'href="#library-pandas"' in page
    assert "The base image" in page
    assert "Not recorded. A rebuild records it." in page


@pytest.mark.slow
def test_libraries_tell_what_their_build_noted(cast: Cast, image: ManagedImage) -> None:
    note = "numpy 2.4.6 was yanked from its index: it breaks <pandas>."
    InstalledLibrary.objects.filter(build=image.current_build, name="numpy").update(notes=[note])
    page = shown(cast, "image_libraries").content.decode()
    assert "it breaks &lt;pandas&gt;." in page
    assert page.count("Note:") == 1


@pytest.mark.slow
def test_the_tags_of_the_current_build_and_the_channels_are_at_the_top(
    cast: Cast, image: ManagedImage
) -> None:
    ManagedImage.objects.update(tags_may_move=True)
    first = image.builds.get(number=1)
    current = image.current_build
    assert current is not None
    image.moving_tags.create(name="stable", build=first, pushed_build=first)
    image.moving_tags.create(name="latest", build=current)
    page = shown(cast, "image")
    assert [tag.name for tag in page.context["tags"]] == ["latest", "stable"]
    text = " ".join(page.content.decode().split())
    assert '<code>latest</code> <span class="muted">(moving)</span>' in text
    assert '<code>stable</code> <span class="muted">at build 1</span>' in text
    assert "rime-managed-images/churn:latest</code>" in text
    assert "<code>:latest</code> (build 2), <code>:stable</code> (build 1)." in text
    # On the other tabs, too.
    assert b"<code>stable</code>" in shown(cast, "image_libraries").content


@pytest.mark.slow
def test_an_image_of_an_older_repository_says_why_its_tags_do_not_move(
    cast: Cast, image: ManagedImage
) -> None:
    page = shown(cast, "image").content.decode()
    assert "its repository was created when all tags were immutable" in page
    assert "?copy=churn" in page


@pytest.mark.slow
def test_the_address_that_an_image_names_leads_to_its_page_for_every_reader(
    cast: Cast, image: ManagedImage
) -> None:
    own = Workspace.objects.create(name="A workspace before the others")
    ManagedImage.objects.update(created_in=own)
    address = reverse("image_by_name", args=["churn"])

    def leads(client: Client) -> str:
        return client.get(address).headers.get("Location", "")

    assert str(own.pk) in leads(cast.client(cast.admin))
    assert leads(cast.client(cast.viewer)) == reverse("image", args=[cast.workspace.pk, "churn"])
    assert leads(cast.client(cast.stranger)) in (
        reverse("workspaces"),
        reverse("image", args=[cast.other.pk, "churn"]),
    )
    assert leads(Client()).startswith("/signin?next=/images/churn")
    missing = cast.client(cast.viewer).get(reverse("image_by_name", args=["nothing-here"]))
    assert missing.status_code == 404


@pytest.mark.slow
def test_before_the_first_success_the_tabs_say_what_will_be_there(
    cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, status=Status.BUILDING_FIRST_TIME)
    assert b"Nothing is installed yet" in shown(cast, "image_libraries").content
    assert b"There is no revision yet" in shown(cast, "image_revisions").content
    assert b"its first build is under way" in shown(cast, "image").content


@pytest.mark.slow
def test_revisions_show_what_each_changed(cast: Cast, image: ManagedImage) -> None:
    page = shown(cast, "image_revisions")
    assert {number: len(found) for number, found in page.context["changes"].items()} == {2: 4}
    found = page.context["comparison"].libraries
    assert [change.name for change in found.all] == ["numpy", "pandas", "python-dateutil", "six"]
    assert found.same == 1
    back = shown(cast, "image_revisions", "?from=2&to=1").context["comparison"].libraries
    assert [change.name for change in back.only_right] == ["six"]
    assert shown(cast, "image_revisions", "?from=77&to=x").status_code == 200


@pytest.mark.slow
def test_any_build_can_be_looked_at(cast: Cast, image: ManagedImage, base: BaseImage) -> None:
    for number in range(3, 40):
        factories.make_build(image, base, Status.FAILED, number=number)
    page = shown(cast, "image_builds", "?build=1").content.decode()
    assert 'id="log-1"' in page
    assert shown(cast, "image_builds", "?build=99").status_code == 404
    assert shown(cast, "image_builds", "?build=9999999999999").status_code == 404
    failed = shown(cast, "image_builds", "?build=5").content.decode()
    assert "Build 5 failed" in failed
    assert "Build 39 failed" in failed


def test_a_session_that_ended_meanwhile_leads_to_signing_in(
    cast: Cast, image: ManagedImage
) -> None:
    address = reverse("image", kwargs={"workspace_id": cast.workspace.pk, "name": "churn"})
    answer = cast.client(None).get(address, headers={"HX-Request": "true"})
    # Followed by htmx, a redirect would put the form into the middle of the page.
    assert (answer.status_code, answer["HX-Refresh"]) == (200, "true")


@pytest.mark.slow
def test_a_build_says_how_long_it_took(cast: Cast, image: ManagedImage) -> None:
    now = timezone.now()
    Build.objects.update(started_at=now - timedelta(seconds=75), finished_at=now)
    assert b"1 min 15 s" in shown(cast, "image_builds").content
