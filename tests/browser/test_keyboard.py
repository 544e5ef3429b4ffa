"""The document's six steps, and finding an image, with nothing but a keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from images.models import BaseImage, ManagedImage
from tests import factories
from tests.cast import Cast

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery staple"


def tab_to(page: Page, target: Locator, most: int = 40) -> None:
    """Press Tab until `target` has the focus, and see that a focused element shows that it is."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            outline, shadow = target.evaluate(
                "e => [getComputedStyle(e).outlineStyle, getComputedStyle(e).boxShadow]"
            )
            assert outline != "none" or shadow != "none"
            return
    pytest.fail(f"Tab does not reach {target}.")


def test_the_six_steps(new_page: Callable[..., Page], cast: Cast, base: BaseImage) -> None:
    cast.admin.set_password(PASSWORD)
    cast.admin.save()
    factories.make_image("kept-model", base=base)
    factories.make_image("old-model", base=base)
    page = new_page()
    page.goto("/")
    # 1. Sign in: the Workspaces page appears.
    tab_to(page, page.get_by_label("Username"))
    page.keyboard.type("admin")
    tab_to(page, page.get_by_label("Password"))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    # 2. Select a workspace: its summary appears.
    tab_to(page, page.get_by_role("link", name="Workspace 1"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Workspace 1")).to_be_visible()
    # 3. Settings.
    tab_to(page, page.get_by_role("link", name="Settings", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="General")).to_be_visible()
    # 4. Managed Images.
    tab_to(page, page.get_by_label("Settings").get_by_role("link", name="Managed Images"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Managed Images")).to_be_visible()
    # 5. The three-dot menu's Remove: a confirmation dialog box appears.
    tab_to(page, page.get_by_label("Actions for old-model"))
    page.keyboard.press("Enter")
    remove = page.get_by_role("menuitem", name="Remove")
    page.keyboard.press("End")
    expect(remove).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    # 6. Remove image.
    tab_to(page, dialog.get_by_role("button", name="Remove image"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("The managed image old-model was removed.")).to_be_visible()
    assert set(ManagedImage.objects.existing().values_list("name", flat=True)) == {"kept-model"}


def test_the_first_tab_skips_to_the_content(new_page: Callable[..., Page], cast: Cast) -> None:
    page = new_page(cast.viewer)
    page.goto("/workspaces")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_library_is_chosen_among_suggestions(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("aa", base=base, libraries={"pandas": "2.2.3", "pyarrow": "21"})
    factories.make_image("bb", base=base, libraries={"pandas": "3.0", "polars": "1.9"})
    page = new_page(cast.viewer)
    page.goto(f"/workspaces/{cast.workspace.pk}/settings/managed-images")
    field = page.get_by_role("combobox", name="Library")
    tab_to(page, field)
    page.keyboard.type("p")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options).to_have_text(["pandas", "polars", "pyarrow"])
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "library-options-1")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    page.keyboard.type("andas==")
    expect(options).to_have_text(["pandas==3.0", "pandas==2.2.3"])
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"library=pandas%3D%3D2\.2\.3"))
    expect(page.get_by_role("link", name="aa", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="bb", exact=True)).to_have_count(0)
    tab_to(page, page.get_by_role("link", name="Remove the filter pandas==2.2.3"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="bb", exact=True)).to_be_visible()


def test_two_images_are_picked_and_compared(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, libraries={"pandas": "2.2.3", "six": "1"})
    factories.make_image("fraud", base=base, libraries={"pandas": "3.0"})
    page = new_page(cast.viewer)
    page.goto(f"/workspaces/{cast.workspace.pk}/settings/managed-images/compare")
    tab_to(page, page.get_by_label("First image"))
    page.keyboard.type("chu")
    expect(page.get_by_role("listbox", name="Suggestions").get_by_role("option")).to_have_text(
        ["churn"]
    )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_label("First image")).to_have_value("churn")
    page.keyboard.press("Tab")
    page.keyboard.type("fraud")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Only in churn")).to_be_visible()
    expect(page.get_by_role("table", name="at different versions")).to_contain_text("2.2.3")
    expect(page).to_have_url(re.compile(r"compare\?a=churn&b=fraud"))


def test_tabs_are_links_that_keep_the_focus_while_the_page_is_polled(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base)
    ManagedImage.objects.filter(pk=image.pk).update(status="OUTDATED")
    page = new_page(cast.viewer)
    page.goto(f"/workspaces/{cast.workspace.pk}/settings/managed-images/image/churn")
    tabs = page.get_by_role("navigation", name="churn")
    expect(tabs.get_by_role("link", name="Overview")).to_have_attribute("aria-current", "page")
    libraries = tabs.get_by_role("link", name="Libraries")
    tab_to(page, libraries)
    ManagedImage.objects.filter(pk=image.pk).update(status="READY")
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    expect(libraries).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Libraries installed in churn")).to_contain_text("numpy")
