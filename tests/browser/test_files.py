"""Files in the form of a new image: dropped or chosen, and what was read of them, in Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from images.models import BaseImage, ManagedImage, MLModel
from tests import factories
from tests.browser.pages import DROP, PHONE, drop_files
from tests.cast import Cast
from tests.factories import PYPROJECT
from tests.requirement_options import TORCH, VARIABLES

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def new_image(cast: Cast) -> str:
    return f"/workspaces/{cast.workspace.pk}/settings/managed-images/new"


def test_a_dropped_file_is_read_at_once_and_its_groups_are_chosen(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    page = new_page(cast.member)
    page.goto(new_image(cast))
    page.get_by_label("Name").fill("churn")
    page.get_by_label("Libraries").fill("six\n")
    said = page.get_by_role("status").filter(has_text="for Python")
    expect(said).to_have_text("1 library for Python 3.11.")
    drop_files(page, ("pyproject.toml", PYPROJECT))
    table = page.get_by_role("region", name="What was read")
    expect(table).to_contain_text("numpy")
    expect(table).to_contain_text("pyproject.toml, line 3")
    expect(said).to_have_text("2 libraries for Python 3.11; 1 left out.")
    group = page.get_by_label("dev")
    group.focus()
    page.keyboard.press("Space")
    expect(table).to_contain_text("pytest")
    expect(group).to_be_checked()
    expect(group).to_be_focused()
    page.get_by_role("button", name="Create image").click()
    expect(page.get_by_role("heading", name="churn")).to_be_visible()
    image = ManagedImage.objects.get(name="churn")
    assert sorted(map(str, image.spec.pip_requirements)) == ["numpy>=2", "pytest", "six"]
    assert image.requirement_files is not None
    assert image.requirement_files.supplied.files[1].text == PYPROJECT


def test_a_file_is_edited_where_it_was_dropped(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_base_image(python_version="3.12")
    page = new_page(cast.member, viewport=PHONE)
    page.goto(new_image(cast))
    page.get_by_label("Files").set_input_files(
        {"name": "environment.yml", "mimeType": "text/yaml",
         "buffer": b"dependencies:\n- python=3.11\n- pip\n- pip:\n  - scipy=1.14\n"}
    )  # fmt: skip
    said = page.get_by_role("status").filter(has_text="for Python")
    expect(said).to_contain_text("for Python 3.11, as the files say")
    expect(page.get_by_text("write scipy==1.14")).to_be_visible()
    page.locator("summary", has_text="environment.yml").click()
    text = page.get_by_label("Text of environment.yml")
    text.fill("dependencies:\n- python=3.12\n- pip\n- pip:\n  - scipy==1.14\n")
    expect(said).to_have_text("1 library for Python 3.12, as the files say; 2 left out.")
    expect(text).to_be_focused()
    page.get_by_label("Leave environment.yml out").check()
    expect(page.locator("#reading-said")).to_be_empty()
    expect(page.get_by_role("region", name="What was read")).to_have_count(0)


def test_the_form_checks_without_script(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    page = new_page(cast.member, java_script_enabled=False)
    page.goto(new_image(cast))
    page.get_by_label("Libraries").fill("six\nscipy=1.14")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("write scipy==1.14")).to_be_visible()
    expect(page.get_by_label("Libraries")).to_have_value("six\nscipy=1.14")
    page.get_by_label("Libraries").fill("six")
    page.get_by_label("Name").fill("churn")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", name="churn")).to_be_visible()


def test_a_file_dropped_on_a_models_form_stands_in_its_field(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    page = new_page(cast.member)
    page.goto(f"/workspaces/{cast.workspace.pk}/models/new")
    field = page.get_by_label("Requirements", exact=False).first
    field.evaluate(DROP, [("requirements.txt", "scipy=1.14\nsix\n")])
    expect(field).to_have_value("scipy=1.14\nsix\n")
    expect(page.get_by_text("write scipy==1.14")).to_be_visible()
    field.fill("scipy==1.14\nsix\n")
    expect(page.get_by_role("status").filter(has_text="for Python")).to_have_text(
        "2 libraries for Python 3.11."
    )
    page.get_by_label("Name").fill("Churn")
    page.get_by_role("button", name="Create model").click()
    expect(page.get_by_role("heading", name="Churn")).to_be_visible()
    assert MLModel.objects.get().requirements == "scipy==1.14\r\nsix\r\n"


def test_an_index_that_a_file_names_is_ticked_and_what_was_ticked_stays(
    new_page: Callable[..., Page], serve: Callable[..., str], cast: Cast, base: BaseImage
) -> None:
    explicit = {"RI_PACKAGE_EXPLICIT_INDEXES": "pytorch-cpu,internal"}
    address = serve(**{**VARIABLES, **explicit})
    choose_and_name_indexes(new_page(cast.member), address + new_image(cast))
    assert ManagedImage.objects.get(name="churn").spec.indexes == ("internal",)


def choose_and_name_indexes(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Name").fill("churn")
    chosen, named = page.get_by_label("internal"), page.get_by_label("pytorch-cpu")
    chosen.check()
    page.get_by_label("Libraries").fill(f"--pre\n--extra-index-url {TORCH}\nsix\n")
    expect(named).to_be_checked()
    expect(named).to_be_disabled()
    expect(page.get_by_label("Allow pre-releases")).to_be_checked()
    expect(chosen).to_be_checked()
    page.get_by_label("Libraries").fill("six\n")
    expect(named).to_be_enabled()
    expect(named).not_to_be_checked()
    expect(page.get_by_label("Allow pre-releases")).not_to_be_checked()
    expect(chosen).to_be_checked()
    page.get_by_role("button", name="Create image").click()
    expect(page.get_by_role("heading", name="churn")).to_be_visible()
