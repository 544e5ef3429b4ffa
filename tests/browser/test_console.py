"""What people do and see in the console, in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from images.jobs.journal import Journal
from images.models import BaseImage, Build, BuildPhase, ManagedImage, Status
from images.models.lease import WorkState
from tests import factories
from tests.browser.pages import PHONE
from tests.cast import Cast

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def pane(cast: Cast) -> str:
    return f"/workspaces/{cast.workspace.pk}/settings/managed-images"


def test_a_new_image_is_asked_for_and_its_page_shows_that_it_waits(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    page = new_page(cast.viewer)
    page.goto(pane(cast))
    page.get_by_role("link", name="New image").first.click()
    page.get_by_label("Name").fill("churn-model")
    page.get_by_label("Libraries").fill("numpy>=2\npandas\n")
    page.get_by_role("button", name="Create image").click()
    expect(page.get_by_role("heading", name="churn-model")).to_be_visible()
    expect(page.get_by_text("Building", exact=True)).to_be_visible()
    assert ManagedImage.objects.get(name="churn-model").created_by == cast.viewer


def test_a_form_with_mistakes_keeps_what_was_typed_and_names_the_lines(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    page = new_page(cast.member)
    page.goto(f"{pane(cast)}/new")
    page.get_by_label("Name").fill("Churn Model")
    page.get_by_label("Libraries").fill("numpy\n-r other.txt\nhttps://evil.test/x.whl\n$(reboot)")
    page.get_by_role("button", name="Create image").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    for words in ("Line 2", "Line 3", "Line 4", "lower-case letters"):
        expect(summary).to_contain_text(words)
    expect(page.get_by_label("Libraries")).to_have_value(
        "numpy\n-r other.txt\nhttps://evil.test/x.whl\n$(reboot)"
    )
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    assert not ManagedImage.objects.exists()


def test_a_build_is_followed_to_its_end_without_a_reload(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn-model", base=base, status=Status.BUILDING_FIRST_TIME)
    build = image.builds.get()
    page = new_page(cast.member)
    page.goto(f"{pane(cast)}/image/churn-model")
    claimed = Build.objects.claim(build.pk, seconds=60)
    assert claimed is not None
    journal = Journal(claimed)
    with journal.phase(BuildPhase.RESOLVE):
        journal.line("numpy 2.4.6")
        journal.flush()
        log = page.get_by_label("Build log")
        expect(log).to_contain_text("numpy 2.4.6")
        expect(page.locator(".step-running")).to_contain_text("Resolve")
    with journal.phase(BuildPhase.FETCH):
        expect(page.locator(".step-done")).to_contain_text("Resolve")
        journal.line("numpy-2.4.6.whl")
        journal.flush()
    claimed.write(
        state=WorkState.SUCCEEDED,
        manifest_digest=factories.digest("churn"),
        lock='lock-version = "1.0"',
        lease_expires_at=None,
    )
    ManagedImage.objects.update(status=Status.READY, current_build=build)
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    expect(log).to_contain_text("numpy-2.4.6.whl")
    # Not one line twice, though the rest of the page was swapped around the log meanwhile.
    assert log.inner_text().count("numpy 2.4.6") == 1
    expect(page.locator("#pull")).to_contain_text("@sha256:")


def test_the_pull_command_is_copied(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn-model", base=base)
    page = new_page(cast.member, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{pane(cast)}/image/churn-model")
    command = page.locator("#pull code", has_text="docker pull")
    page.locator(f"[data-copy='#{command.get_attribute('id')}']").click()
    expect(page.locator("#pull button", has_text="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("docker pull 123456789012.dkr.ecr.us-east-1.amazonaws.com/")
    assert copied.endswith(factories.digest("churn-model"))


def test_a_failed_build_says_what_to_do_above_the_log(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("broken-model", base=base, created_in=cast.workspace, status=Status.FAILED)
    page = new_page(cast.member)
    page.goto(f"{pane(cast)}/image/broken-model")
    notice = page.locator(".notice-error")
    expect(notice).to_contain_text("Because nosuchlib was not found in the package registry")
    expect(notice).to_contain_text("Check the spelling of the library's name.")
    notice.get_by_role("link", name="Alter what the image asks for").click()
    expect(page.get_by_label("Libraries")).to_have_value("numpy>=2")
    page.go_back()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Build 2")).to_be_visible()


def test_an_open_menu_stays_open_while_the_list_is_polled(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("building", base=base, status=Status.BUILDING_FIRST_TIME)
    factories.make_image("ready", base=base)
    page = new_page(cast.admin)
    page.goto(pane(cast))
    page.get_by_label("Actions for ready").click()
    ManagedImage.objects.filter(name="building").update(status=Status.FAILED)
    page.wait_for_timeout(2_000)
    expect(page.get_by_role("menuitem", name="Remove")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("row").filter(has_text="building")).to_contain_text("Failed")


def test_search_filter_and_sort_stand_in_the_address(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("fraud", base=base, libraries={"xgboost": "3.1"})
    factories.make_image("churn", base=base, status=Status.FAILED)
    page = new_page(cast.member)
    page.goto(pane(cast))
    page.get_by_label("Search by image or library").fill("xgboost")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="fraud")).to_be_visible()
    expect(page.get_by_role("link", name="churn")).to_have_count(0)
    page.goto(pane(cast))
    page.get_by_label("Status", exact=True).select_option("FAILED")
    expect(page).to_have_url(re.compile("status=FAILED"))
    expect(page.get_by_role("link", name="fraud")).to_have_count(0)
    page.goto(pane(cast))
    page.get_by_role("link", name="Name").click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute(
        "aria-sort", "descending"
    )


def test_libraries_and_comparisons_need_no_javascript(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, libraries={"pandas": "2.2.3"})
    factories.make_image("fraud", base=base, libraries={"pandas": "3.0"})
    page = new_page(cast.viewer, java_script_enabled=False)
    page.goto(pane(cast))
    page.locator("#library").fill("pandas==3.0")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("link", name="fraud")).to_be_visible()
    expect(page.get_by_role("link", name="churn")).to_have_count(0)
    page.get_by_role("link", name="Remove the filter pandas==3.0").click()
    page.get_by_role("link", name="Compare").first.click()
    expect(page.locator("#a-names option")).to_have_count(2)
    assert page.locator("#a-names option").evaluate_all("all => all.map(o => o.value)") == [
        "churn", "fraud",
    ]  # fmt: skip
    page.get_by_label("First image").fill("churn")
    page.get_by_label("Second image").fill("fraud")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Different versions")).to_be_visible()
    page.get_by_role("link", name="churn").first.click()
    page.get_by_role("link", name="Libraries").click()
    expect(page.get_by_role("cell", name="2.2.3")).to_be_visible()


def test_a_page_that_cannot_be_kept_up_to_date_says_so_until_it_can(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, status=Status.BUILDING_FIRST_TIME)
    page = new_page(cast.viewer, failing=True)
    page.goto(pane(cast))
    page.route("**/managed-images", lambda route: route.fulfill(status=503))
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("could not bring this page up to date")
    page.unroute("**/managed-images")
    expect(notice).to_have_count(0)


def test_light_and_dark_can_be_switched_and_stay(new_page: Callable[..., Page], cast: Cast) -> None:
    page = new_page(cast.member, color_scheme="dark")
    page.goto("/workspaces")
    root = page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.get_by_text("member", exact=True).first.click()
    page.get_by_role("menuitem", name="Light or dark").click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_nothing_scrolls_sideways_on_a_phone(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    long = "a-name-that-is-as-long-as-names-may-be-" + "-".join(["x1"] * 29)
    factories.make_image(long, base=base)
    factories.make_base_image(
        state=WorkState.FAILED, is_current=False, error_code="base_image_unusable",
        error_message=f"https://mirror.example/{long}/{long} did not answer.",
    )  # fmt: skip
    page = new_page(cast.admin, viewport=PHONE)
    image = f"{pane(cast)}/image/{long}"
    tokens = f"/workspaces/{cast.workspace.pk}/settings/tokens"
    for path in (
        "/workspaces", pane(cast), f"{pane(cast)}/new", image, f"{image}/libraries", tokens,
        "/organization/registry", "/programs",
    ):  # fmt: skip
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
