"""The document's six steps, and the other ways to the same removal, in Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from images.jobs import repositories as reconcile
from images.models import BaseImage, ManagedImage
from images.registry import connection
from tests import factories
from tests.cast import Cast
from tests.local_aws import LocalAWS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery staple"


def pane(cast: Cast) -> str:
    return f"/workspaces/{cast.workspace.pk}/settings/managed-images"


def test_deleting_a_managed_image_by_the_documents_six_steps(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage, registry: LocalAWS
) -> None:
    cast.admin.set_password(PASSWORD)
    cast.admin.save()
    image = factories.make_image("old-model", base=base)
    factories.make_image("kept-model", base=base)
    with registry.identity("registry-server"):
        repositories = connection.control()
        reconcile.make_repository(repositories, "rime-managed-images/old-model")
    page = new_page()

    # 1. Sign in to a user account that has administrative privileges: the Workspaces page appears.
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    # 2. Select a workspace: the Workspace summary page appears.
    page.get_by_role("link", name="Workspace 1").click()
    expect(page.get_by_role("heading", name="Workspace 1")).to_be_visible()
    # 3. Click the Settings icon in the lower left corner: the Workspace page appears.
    settings = page.get_by_role("link", name="Settings", exact=True)
    place = settings.bounding_box()
    assert place is not None
    assert place["x"] < 100
    assert place["y"] > 600
    settings.click()
    expect(page.get_by_role("heading", name="General")).to_be_visible()
    # 4. Click Managed Images: the Managed Images pane appears.
    page.get_by_label("Settings").get_by_role("link", name="Managed Images").click()
    expect(page.get_by_role("heading", name="Managed Images")).to_be_visible()
    # 5. From the three-dot menu at the right of a Managed Image, click Remove.
    row = page.get_by_role("row").filter(has_text="old-model")
    row.get_by_label("Actions for old-model").click()
    row.get_by_role("menuitem", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("old-model is removed from this instance, for every workspace")
    # 6. Click Remove image: the Managed Image is removed from the RI Platform instance.
    dialog.get_by_role("button", name="Remove image").click()
    expect(page.get_by_text("The managed image old-model was removed.")).to_be_visible()
    expect(page.get_by_role("link", name="old-model", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="kept-model", exact=True)).to_be_visible()

    # It could be restored until tomorrow; deleted for good, its repository goes.
    page.get_by_role("link", name="Delete old-model now").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete image").click()
    removing = page.get_by_role("row").filter(has_text="old-model")
    expect(removing).to_contain_text("Removing")
    with registry.identity("registry-server"):
        reconcile.delete_repository(image.pk)
        assert repositories.delete_repository("rime-managed-images/old-model") is False
    expect(removing).to_have_count(0)


def test_the_keyboard_alone_removes_an_image_and_the_focus_comes_back(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("old-model", base=base)
    page = new_page(cast.admin)
    page.goto(pane(cast))
    button = page.get_by_label("Actions for old-model")
    page.get_by_role("link", name="old-model", exact=True).focus()
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    cancel = page.get_by_role("dialog").get_by_role("button", name="Cancel")
    expect(cancel).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem", name="Remove")).to_be_focused()
    page.keyboard.press("Enter")
    expect(cancel).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The managed image old-model was removed.")).to_be_visible()


def test_a_tab_as_quick_as_can_be_is_not_undone(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("old-model", base=base)
    page = new_page(cast.admin)
    page.goto(pane(cast))
    page.evaluate(
        """document.addEventListener("focusin", (event) => {
            if (!event.target.matches("dialog [data-close]")) return;
            window.cancelFocused = (window.cancelFocused || 0) + 1;
            event.target.closest("dialog").querySelector(".btn-danger").focus();
        })"""
    )
    page.get_by_label("Actions for old-model").click()
    page.get_by_role("menuitem", name="Remove").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Remove image")).to_be_focused()
    page.wait_for_timeout(200)
    assert page.evaluate("window.cancelFocused") == 1


def test_removal_works_without_javascript(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("old-model", base=base)
    page = new_page(cast.support, java_script_enabled=False)
    page.goto(pane(cast))
    page.get_by_label("Actions for old-model").click()
    page.get_by_text("Remove", exact=True).click()
    expect(page.get_by_role("heading", name="Remove this image?")).to_be_visible()
    page.get_by_role("button", name="Remove image").click()
    expect(page.get_by_text("The managed image old-model was removed.")).to_be_visible()
    assert not ManagedImage.objects.existing().exists()


@pytest.mark.parametrize("who", ["manager", "member", "viewer"])
def test_others_are_told_why_remove_is_not_theirs(
    who: str, new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("kept-model", base=base)
    page = new_page(getattr(cast, who))
    page.goto(pane(cast))
    page.get_by_label("Actions for kept-model").click()
    remove = page.get_by_role("menuitem", name="Remove")
    expect(remove).to_have_attribute("aria-disabled", "true")
    expect(
        page.get_by_text("Only Organization Administrators can remove a managed image.")
    ).to_be_visible()
    remove.click(force=True)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{pane(cast)}/image/kept-model/remove")
    expect(page.get_by_role("heading", name="This is not yours to do")).to_be_visible()


def test_an_image_removed_by_somebody_else_meanwhile_is_a_sentence_in_the_page(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("old-model", base=base)
    page = new_page(cast.admin)
    page.goto(pane(cast))
    image.delete()
    page.get_by_label("Actions for old-model").click()
    page.get_by_role("menuitem", name="Remove").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no managed image named old-model.")
