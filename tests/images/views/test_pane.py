"""What people see in Settings → Managed Images."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from images.models import BaseImage, ManagedImage, Status
from images.models.lease import WorkState
from images.queries import images as queries
from images.queries import searching
from images.queries.images import SORTS
from tests import factories
from tests.cast import Cast

NEW = {"name": "churn", "image_type": "all", "python_version": "3.11", "os_packages": ""}


def url(cast: Cast, route: str = "images", **arguments: str) -> str:
    return reverse(route, kwargs={"workspace_id": cast.workspace.pk, **arguments})


@pytest.mark.slow
def test_a_page_of_fifty_costs_the_same_queries_at_any_number_of_images(
    cast: Cast, base: BaseImage
) -> None:
    client = cast.client(cast.admin)
    queries: dict[int, list[int]] = {}
    there = 0
    for count in (1, 50, 1000):
        names = [f"image-{number}" for number in range(there, count)]
        factories.make_images(names, base=base, created_by=cast.member)
        there = count
        queries[count] = []
        for _ in range(2):
            with CaptureQueriesContext(connection) as captured:
                page = client.get(url(cast))
            assert page.content.count(b'class="cell-name"') == min(count, 50)
            queries[count].append(len(captured))
    # Rows that are new to this process are read, with their checks and drifts.
    assert queries[1] == queries[50] == queries[1000] == [12, 9]


def names_in(page: Any) -> list[str]:
    """The images of the page, in its order."""
    return re.findall(
        r'class="cell-name"><a class="name" href="[^"]+">([^<]+)<', page.content.decode()
    )


def fingerprint_in(page: Any) -> str:
    found = re.search(r'"X-Fingerprint": "(\w+)"', page.content.decode())
    assert found is not None
    return found[1]


def link(page: Any, rel: str) -> str:
    """The address of the page before or after; empty if there is no link to it."""
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page.content.decode())
    return unescape(found[1]) if found else ""


@pytest.mark.parametrize("column", ["name", "status", "base", "size", "created", "updated"])
@pytest.mark.parametrize("direction", ["", pytest.param("-", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_pages_of_every_order_show_each_image_once_forth_and_back(
    column: str, direction: str, cast: Cast, base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of fewer rows than people see: what is between two pages is the same.
    monkeypatch.setattr(queries, "PAGE_SIZE", 10)
    names = [f"i{number * 7 % 24:03}" for number in range(24)]
    images = factories.make_images(names, base=base)
    for number, image in enumerate(images):
        # Among some equals the name decides.
        image.size_bytes, image.created_at = number % 7, timezone.now() - timedelta(number % 5)
        image.status = Status.FAILED if number % 3 else Status.READY
    ManagedImage.objects.bulk_update(images, ["size_bytes", "created_at", "status"])
    client, query = cast.client(cast.viewer), f"?sort={direction}{column}"
    pages = [client.get(url(cast) + query)]
    assert link(pages[0], "prev") == ""
    while following := link(pages[-1], "next"):
        pages.append(client.get(url(cast) + following))
    shown = [names_in(page) for page in pages]
    assert [len(page) for page in shown] == [10, 10, 4]
    by_name = {image.name: image for image in ManagedImage.objects.all()}
    every = [by_name[name] for names in shown for name in names]
    attribute = SORTS[column]
    wanted = sorted(every, key=lambda image: (getattr(image, attribute), image.name))
    assert every == (wanted[::-1] if direction else wanted)
    assert len({image.pk for image in every}) == 24
    back = client.get(url(cast) + link(pages[2], "prev"))
    assert names_in(back) == shown[1]
    again = client.get(url(cast) + link(back, "prev"))
    assert names_in(again) == shown[0]


@pytest.mark.slow
def test_a_page_keeps_its_place_while_images_come_and_go(cast: Cast, base: BaseImage) -> None:
    factories.make_images([f"i{number:03}" for number in range(70)], base=base)
    client = cast.client(cast.viewer)
    following = link(client.get(url(cast)), "next")
    factories.make_image("a-new-one", base=base)
    ManagedImage.objects.filter(name="i049").update(
        removed_at=timezone.now(), deletion_due_at=timezone.now()
    )
    page = client.get(url(cast) + following)
    assert names_in(page)[0] == "i050"


@pytest.mark.parametrize(
    "place",
    ["after=", "after=x", "after=-,a", "before=READY,zz", "after=2026-01-01,aa", "after=9,9,9",
     "after=99999999999999999999999,aa", "before=aa", "after=zz", "page=7"],
)  # fmt: skip
@pytest.mark.slow
def test_a_place_that_is_none_shows_the_first_page(place: str, cast: Cast, base: BaseImage) -> None:
    factories.make_images(["aa", "bb"], base=base)
    for sort in ("name", "size", "created", "-status"):
        page = cast.client(cast.viewer).get(url(cast) + f"?sort={sort}&{place}")
        assert set(names_in(page)) == {"aa", "bb"}


@pytest.mark.slow
def test_more_images_than_are_counted_are_told_as_more(cast: Cast, base: BaseImage) -> None:
    factories.make_images([f"i{number:04}" for number in range(1001)], base=base)
    client = cast.client(cast.viewer)
    assert b"1,000+ images" in client.get(url(cast)).content
    ManagedImage.objects.filter(name="i0000").delete()
    assert b"1,000 images" in client.get(url(cast)).content


@pytest.mark.parametrize("few", [2, 1000])
@pytest.mark.slow
def test_a_search_finds_the_same_among_few_and_many(
    few: int, cast: Cast, base: BaseImage, monkeypatch: Any
) -> None:
    """Few are found by the indexes alone, many one by one."""
    monkeypatch.setattr(searching, "FEW", few)
    factories.make_images(
        [f"a{n}" for n in range(4)], base=base, libraries={"torch": "2", "torchvision": "1"}
    )
    factories.make_images([f"torch-{n}" for n in range(4)], base=base)
    factories.make_images([f"b_{n}" for n in range(4)], base=base)
    client = cast.client(cast.viewer)

    def names(query: str) -> list[str]:
        return names_in(client.get(url(cast) + query))

    assert names("?q=torch") == [*(f"a{n}" for n in range(4)), *(f"torch-{n}" for n in range(4))]
    assert names("?q=torchv&sort=-name") == ["a3", "a2", "a1", "a0"]
    assert names("?q=B_") == [f"b_{n}" for n in range(4)]
    assert names("?q=%25") == names("?q=-x") == []
    assert names("?q=numpy&status=FAILED") == []


def test_every_workspace_sees_the_same_images(cast: Cast, base: BaseImage) -> None:
    factories.make_image("everywhere", base=base, created_in=cast.workspace)
    for workspace in (cast.workspace, cast.other):
        page = cast.client(cast.viewer).get(
            reverse("images", kwargs={"workspace_id": workspace.pk})
        )
        assert b"everywhere" in page.content


def test_removing_its_workspace_leaves_the_image(cast: Cast, base: BaseImage) -> None:
    factories.make_image("stays", base=base, created_in=cast.workspace)
    cast.workspace.delete()
    image = ManagedImage.objects.get(name="stays")
    assert image.created_in is None


@pytest.mark.slow
def test_search_finds_by_name_and_by_installed_library(cast: Cast, base: BaseImage) -> None:
    factories.make_image("fraud-model", base=base, libraries={"xgboost": "3.1"})
    factories.make_image("churn-model", base=base, libraries={"pandas": "3.0"})
    client = cast.client(cast.member)
    assert b"fraud-model" in client.get(url(cast) + "?q=FRAUD").content
    by_library = client.get(url(cast) + "?q=xgboo").content
    assert b"fraud-model" in by_library
    assert b"churn-model" not in by_library
    assert b"No image matches" in client.get(url(cast) + "?q=torch").content


@pytest.mark.slow
def test_status_filter_and_sort_come_from_the_url(cast: Cast, base: BaseImage) -> None:
    factories.make_image("aa", base=base, status=Status.FAILED)
    factories.make_image("bb", base=base)
    client = cast.client(cast.member)
    assert b"bb</a>" not in client.get(url(cast) + "?status=FAILED").content
    descending = client.get(url(cast) + "?sort=-name").content
    assert descending.index(b">bb</a>") < descending.index(b">aa</a>")
    assert client.get(url(cast) + "?sort=password&status=x&page=99").status_code == 200


@pytest.mark.slow
def test_libraries_narrow_the_list_by_name_and_version_with_everything_else(
    cast: Cast, base: BaseImage, django_assert_max_num_queries: Any
) -> None:
    factories.make_image("aa", base=base, libraries={"pandas": "2.2.3", "numpy": "1.26"})
    factories.make_image("bb", base=base, libraries={"Pandas": "3.0", "numpy": "1.26.0"})
    factories.make_image("cc", base=base, libraries={"numpy": "2.0"})
    factories.make_images(
        [f"many-{number:02}" for number in range(60)], base=base, libraries={"scipy": "1.0"}
    )
    client = cast.client(cast.admin)

    def names(query: str) -> list[str]:
        return names_in(client.get(url(cast) + query))

    assert names("?library=PANDAS") == ["aa", "bb"]
    assert names("?library=pandas%3D%3D2.2.3") == ["aa"]
    assert names("?library=pandas+%3D%3D+3") == ["bb"]
    assert names("?library=numpy%3D%3D1.26&library=pandas&sort=-name") == ["bb", "aa"]
    assert names("?library=numpy&q=cc") == ["cc"]
    assert names("?library=numpy&status=FAILED") == []
    first = client.get(url(cast) + "?library=scipy")
    assert b"60 images" in first.content
    assert len(names(link(first, "next"))) == 10
    # One more for each library: the names of the images that have it.
    with django_assert_max_num_queries(13):
        page = client.get(url(cast) + "?library=pandas&library=numpy").content.decode()
    assert "pandas 2.2.3" in page
    assert "Remove the filter pandas" in page
    assert 'href="?library=numpy"' in page


@pytest.mark.parametrize("text", ["pandas>2", "pandas==", "==2", "a b", "pandas==2;3"])
def test_a_filter_that_names_no_library_is_told(text: str, cast: Cast, base: BaseImage) -> None:
    factories.make_image("aa", base=base)
    page = cast.client(cast.member).get(url(cast), {"library": text})
    assert page.status_code == 200
    assert b"is not a library" in page.content
    assert b'aria-invalid="true"' in page.content


def test_no_image_with_the_library_says_which_was_looked_for(cast: Cast, base: BaseImage) -> None:
    factories.make_image("aa", base=base)
    page = cast.client(cast.member).get(url(cast) + "?library=torch&library=numpy%3D%3D2.4.6")
    assert b"has torch and numpy==2.4.6 installed" in page.content


@pytest.mark.slow
def test_a_poll_without_news_changes_nothing_on_screen(cast: Cast, base: BaseImage) -> None:
    factories.make_image("busy", base=base, status=Status.BUILDING_FIRST_TIME)
    client = cast.client(cast.member)
    page = client.get(url(cast))
    assert b'hx-trigger="every' in page.content
    headers = {"HX-Request": "true", "X-Fingerprint": fingerprint_in(page)}
    assert client.get(url(cast), headers=headers).status_code == 204
    ManagedImage.objects.update(status=Status.FAILED)
    news = client.get(url(cast), headers=headers)
    assert news.status_code == 200
    assert b"<html" not in news.content
    assert b"hx-get" not in news.content.split(b">")[0]
    assert "HX-Request" in news["Vary"]


def test_a_boosted_or_restored_request_gets_the_whole_page(cast: Cast) -> None:
    client = cast.client(cast.member)
    for extra in ({"HX-Boosted": "true"}, {"HX-History-Restore-Request": "true"}):
        assert b"<html" in client.get(url(cast), headers={"HX-Request": "true", **extra}).content


def test_a_base_image_on_its_way_is_announced(cast: Cast) -> None:
    factories.make_base_image(state=WorkState.QUEUED, manifest_digest="")
    assert b"is being prepared" in cast.client(cast.member).get(url(cast)).content


def test_turned_off_there_is_no_pane(cast: Cast, settings: Any) -> None:
    settings.IMAGE_REGISTRY_ENABLED = False
    client = cast.client(cast.admin)
    assert client.get(url(cast)).status_code == 503
    assert client.post(url(cast, "new_image"), NEW).status_code == 503
    assert b"Managed Images" not in client.get(url(cast, "settings")).content


@pytest.mark.parametrize("who", ["admin", "manager", "member", "viewer"])
@pytest.mark.slow
def test_any_account_creates_an_image(who: str, cast: Cast, base: BaseImage) -> None:
    response = cast.client(getattr(cast, who)).post(
        url(cast, "new_image"), {**NEW, "pip_requirements": "numpy>=2\r\npandas\r\n"}
    )
    assert response.status_code == 302
    image = ManagedImage.objects.get(name="churn")
    assert image.status == Status.BUILDING_FIRST_TIME
    assert [item["name"] for item in image.pip_requirements] == ["numpy", "pandas"]
    assert (image.created_by, image.created_in) == (getattr(cast, who), cast.workspace)
    assert image.builds.get().state == WorkState.QUEUED


def test_the_form_names_the_offending_line_and_keeps_what_was_typed(
    cast: Cast, base: BaseImage
) -> None:
    text = "numpy\n-r other.txt\npandas; rm -rf /"
    response = cast.client(cast.member).post(
        url(cast, "new_image"), {**NEW, "pip_requirements": text}
    )
    assert response.status_code == 422
    page = response.content.decode()
    assert "Line 2: other.txt was not given along" in page
    assert "Line 3: What follows the semicolon is not an environment marker" in page
    assert "pandas; rm -rf /</textarea>" in page
    assert not ManagedImage.objects.exists()


@pytest.mark.parametrize(
    "name", ["Big", "a", "9lives", "a--b", "a.b", "a/b", "-a", "a" * 129, "é1"]
)
@pytest.mark.slow
def test_a_bad_name_is_refused_at_its_field(name: str, cast: Cast, base: BaseImage) -> None:
    response = cast.client(cast.member).post(
        url(cast, "new_image"), {**NEW, "name": name, "pip_requirements": "numpy"}
    )
    assert response.status_code == 422
    assert "name" in response.context["form"].errors


@pytest.mark.slow
def test_a_taken_name_is_told_at_its_field(cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base)
    response = cast.client(cast.member).post(
        url(cast, "new_image"), {**NEW, "pip_requirements": "scipy"}
    )
    assert "already" in response.context["form"].errors["name"][0]


@pytest.mark.slow
def test_a_failed_image_says_why_and_can_be_tried_again(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image(
        "broken", base=base, created_in=cast.workspace, status=Status.FAILED
    )
    client = cast.client(cast.member)
    page = client.get(url(cast, "image", name="broken")).content.decode()
    assert "nosuchlib was not found" in page
    assert "Check the spelling" in page
    assert client.post(url(cast, "rebuild_image", name="broken")).status_code == 302
    image.refresh_from_db()
    assert (image.status, image.builds.count()) == (Status.BUILDING_FIRST_TIME, 2)
    assert client.post(url(cast, "rebuild_image", name="broken")).status_code == 409


@pytest.mark.slow
def test_a_failed_rebuild_keeps_the_good_image_usable(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("solid", base=base, created_in=cast.workspace)
    cast.client(cast.member).post(url(cast, "rebuild_image", name="solid"))
    image.refresh_from_db()
    assert (image.status, image.current_build.number) == (Status.REBUILDING, 1)  # type: ignore[union-attr]


@pytest.mark.slow
def test_the_page_gives_the_pull_command_by_digest(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("ready", base=base)
    page = cast.client(cast.member).get(url(cast, "image", name="ready")).content.decode()
    assert f"rime-managed-images/ready@{factories.digest('ready')}" in page
    lock = cast.client(cast.member).get(url(cast, "image_lock", name="ready"))
    assert lock["Content-Disposition"] == 'attachment; filename="pylock.ready.toml"'
    assert image.current_build is not None


def test_the_log_is_read_from_an_offset(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("chatty", base=base, status=Status.BUILDING_FIRST_TIME)
    build = image.builds.get()
    build.log_chunks.create(build=build, offset=0, text="one\n")
    build.log_chunks.create(build=build, offset=4, text="two\n")
    response = cast.client(cast.member).get(url(cast, "image_log", name="chatty") + "?after=4")
    assert response.content == b"two\n"
    assert (response["X-Log-Offset"], response["X-Log-Done"]) == ("8", "0")


@pytest.mark.slow
def test_markup_in_a_log_stays_text(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("sly", base=base, status=Status.BUILDING_FIRST_TIME)
    build = image.builds.get()
    build.log_chunks.create(build=build, offset=0, text="<script>alert(1)</script>")
    page = cast.client(cast.member).get(url(cast, "image", name="sly")).content
    assert b"<script>alert" not in page


def test_pages_forbid_inline_script_and_style(cast: Cast) -> None:
    policy = cast.client(cast.member).get(url(cast))["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert django_settings.X_FRAME_OPTIONS == "DENY"


@pytest.mark.slow
def test_rows_of_one_kind_show_each_its_own_and_nothing_as_markup(
    cast: Cast, base: BaseImage
) -> None:
    """The markup of a row is rendered once for all that differ by values alone."""
    hostile = '<b title="x">PLACE-name-ECALP & co</b>'
    factories.make_images(["first", "second"], base=base, created_by=cast.member)
    ManagedImage.objects.filter(name="first").update(description=hostile)
    ManagedImage.objects.filter(name="second").update(description="It's quiet")
    page = cast.client(cast.admin).get(url(cast)).content.decode()
    assert "&lt;b title=&quot;x&quot;&gt;PLACE-name-ECALP &amp; co&lt;/b&gt;" in page
    assert "<b title" not in page
    parts = [part.partition("</tr>")[0] for part in page.split('<td data-label="Name"')[1:]]
    rows = dict(zip(("first", "second"), parts, strict=True))
    for name, other in (("first", "second"), ("second", "first")):
        assert f"/image/{name}" in rows[name]
        assert f"copy={name}" in rows[name]
        assert f"Actions for {name}" in rows[name]
        assert other not in rows[name]
    assert "It&#x27;s quiet" in rows["second"]
