"""Swapping a model's image in Chromium, with the keyboard alone; and a removal that can be undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from images.models import Assignment, BaseImage
from tests import factories
from tests.cast import Cast

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus, as somebody without a mouse does."""
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("The keyboard does not get there.")


def test_a_model_is_made_and_swapped_by_keyboard_alone(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_image("old", base=base, libraries={"numpy": "1.26.4"})
    factories.make_image("fitting", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0.1"})
    page = new_page(cast.member)
    page.goto(f"/workspaces/{cast.workspace.pk}")
    tab_to(page, page.get_by_role("link", name="Models"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
    tab_to(page, page.get_by_role("link", name="New model").first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New model")).to_be_visible()
    tab_to(page, page.get_by_label("Name"))
    page.keyboard.type("Churn")
    tab_to(page, page.get_by_label("Requirements", exact=False).first)
    page.keyboard.type("numpy\npandas>=3")
    tab_to(page, page.get_by_role("button", name="Create model"))
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Choose an image for Churn")).to_be_visible()
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("Has everything")
    expect(rows.nth(2)).to_contain_text("1 of 2 not met")
    choose(page, "old")
    expect(page.get_by_text("Churn runs on old now.")).to_be_visible()

    tab_to(page, page.get_by_role("link", name="Swap image"))
    page.keyboard.press("Enter")
    choose(page, "fitting", shown="Upgraded")
    expect(page.get_by_text("Churn runs on fitting now.")).to_be_visible()

    tab_to(page, page.get_by_role("button", name="Swap back to old"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Churn runs on old now.")).to_be_visible()
    assert Assignment.objects.count() == 3


def choose(page: Page, name: str, shown: str = "") -> None:
    tab_to(page, page.get_by_role("link", name=f"Choose {name}"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Swap Churn to {name}")).to_be_visible()
    if shown:
        expect(page.get_by_text(shown)).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Swap image"))
    page.keyboard.press("Enter")


def test_an_image_in_use_is_removed_by_typing_its_name_and_restored(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("shared", base=base)
    factories.make_model(cast.workspace, image=image, name="Churn")
    page = new_page(cast.admin)
    page.goto(f"/workspaces/{cast.workspace.pk}/settings/managed-images")
    page.get_by_label("Actions for shared").click()
    page.get_by_role("menuitem", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 model runs on it")
    expect(dialog.get_by_role("link", name="Churn")).to_be_visible()
    dialog.get_by_label("Type shared to go on").fill("shared")
    dialog.get_by_role("button", name="Remove image").click()
    expect(page.get_by_text("The managed image shared was removed.")).to_be_visible()
    page.get_by_role("button", name="Restore shared").click()
    expect(page.get_by_text("The managed image shared was restored.")).to_be_visible()
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="Churn")).to_contain_text("Ready")
