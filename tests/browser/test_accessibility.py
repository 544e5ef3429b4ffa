"""axe finds nothing on any page, in light and dark, on a desktop and a phone.

`make test` looks at each size and each scheme once, and `make test-long` at both schemes in both sizes, as a
reader, too.

The pages come from the resolver, so a new one is looked at without anybody thinking of it; what only some
state of things shows is added below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Page

from images.models import BaseImage, ManagedImage
from images.models.lease import WorkState
from tests import factories
from tests.browser.furnished import PROJECT, changed_files, furnish
from tests.browser.pages import DESKTOP, PHONE, drop_files
from tests.cast import Cast
from tests.requirement_options import TORCH, VARIABLES
from tests.routes import ROUTES, address_of
from workspaces.models import User

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery staple"
# What passed is not sent: it is most of what axe has to say.
VIOLATIONS = """async options =>
  (await axe.run({ ...options, resultTypes: ["violations"] })).violations"""


Look = tuple[str, Literal["light", "dark"]]
SIZES = {"desktop": DESKTOP, "phone": PHONE}
TWO: list[Look] = [("desktop", "light"), ("phone", "dark")]
EVERY: list[Look] = [
    ("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark"),
]  # fmt: skip


def findings(page: Page, looks: Sequence[Look] = TWO) -> Iterator[str]:
    """What axe finds on the page as it is, in these looks, one line each."""
    page.evaluate(AXE_SCRIPT)
    seen = set()
    for size, scheme in looks:
        page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.locator(f"html[data-bs-theme={scheme}]").wait_for(state="attached")
        # A scheme changes colours alone; all other rules say what they said of the same size in the other.
        options = {"runOnly": ["color-contrast"]} if size in seen else {}
        seen.add(size)
        for violation in page.evaluate(VIOLATIONS, options):
            for node in violation["nodes"]:
                said = json.dumps(node.get("any") or node.get("all") or node.get("none"))[:300]
                yield f"{page.url} {size} {scheme}: {violation['id']} {node['html'][:160]} {said}"


@pytest.fixture
def furnished(cast: Cast, base: BaseImage) -> ManagedImage:
    furnish(cast, base)
    User.objects.update(password=make_password(PASSWORD))
    # A session holds a hash of the password that its account has when it begins.
    for person in (cast.admin, cast.viewer):
        person.refresh_from_db()
    return ManagedImage.objects.get(name="credit-scoring")


@pytest.mark.parametrize(
    ("who", "looks"),
    [
        pytest.param("admin", TWO, id="admin"),
        pytest.param("nobody", EVERY, id="nobody"),
        pytest.param("admin", EVERY, id="admin-every-look", marks=pytest.mark.long),
        pytest.param("viewer", EVERY, id="viewer-every-look", marks=pytest.mark.long),
    ],
)
def test_no_page_has_a_finding(
    who: str,
    looks: list[Look],
    new_page: Callable[..., Page],
    cast: Cast,
    furnished: ManagedImage,
) -> None:
    person = getattr(cast, who, None)
    if person is not None:
        TOTP.activate(person, "JBSWY3DPEHPK3PXP")
        RecoveryCodes.activate(person)
    page = new_page(person)
    if person is not None:
        confirm_own_account(page)
    found: list[str] = []
    seen: set[str] = set()
    for route in ROUTES:
        address = address_of(route, cast, furnished)
        answer = cast.client(person).get(address, follow=True)
        # Others answer with a file, with JSON or a part of a page, or do their work when sent to.
        if answer.status_code == 405 or b"<html" not in b"".join(answer):
            continue
        # One refusal looks like the next, and so does being asked to sign in.
        ending = urlsplit(answer.redirect_chain[-1][0]).path if answer.redirect_chain else address
        what = ending if answer.status_code == 200 else str(answer.status_code)
        if what in seen:
            continue
        seen.add(what)
        page.goto(address)
        assert person is None or "/signin" not in page.url or ending.startswith("/signin")
        found += findings(page, looks)
    assert not found, "\n".join(found)
    assert len(seen) > {"admin": 30, "viewer": 20, "nobody": 1}[who], seen


def confirm_own_account(page: Page) -> None:
    """Say the password once more, which what protects an account is shown for."""
    page.goto("/account/password")
    if page.get_by_role("button", name="Confirm").count():
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()


STATES = [
    "?q=torch",
    "?library=pandas&library=numpy%3D%3D2.5.0",
    "?library=pandas%3E2",
    "/compare?a=churn-xgboost&b=credit-scoring",
    "/compare?a=churn-xgboost&b=nothing",
    "/image/pricing-lightgbm",
    "/image/pricing-lightgbm/libraries",
    "/image/fraud-graph",
    "/image/fraud-graph/revisions",
    "/image/credit-scoring/builds?build=1",
    "/image/nowhere",
]


def test_no_state_of_a_page_has_a_finding(
    new_page: Callable[..., Page], cast: Cast, furnished: ManagedImage
) -> None:
    page = new_page(cast.admin)
    pane = f"/workspaces/{cast.workspace.pk}/settings/managed-images"
    found: list[str] = []
    for state in STATES:
        page.goto(pane + state)
        found += findings(page)
    page.goto(f"{pane}/new")
    page.get_by_label("Name").fill("My Model")
    page.get_by_label("Libraries").fill("numpy\n-r other.txt")
    page.get_by_role("button", name="Create image").click()
    found += findings(page)
    page.goto(f"{pane}/new")
    page.get_by_label("Libraries").fill("scipy=1.14\ntomli; python_version < '3'")
    drop_files(page, ("pyproject.toml", PROJECT))
    page.locator("summary", has_text="pyproject.toml").click()
    page.locator("summary", has_text="Left out").click()
    found += findings(page)
    page.goto(f"{pane}/image/credit-scoring/alter/{changed_files(furnished).pk}")
    found += findings(page)
    page.goto(pane)
    page.get_by_label("Actions for credit-scoring").click()
    found += findings(page)
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").wait_for()
    found += findings(page)
    page.goto(pane)
    page.get_by_role("combobox", name="Library").press_sequentially("p")
    page.get_by_role("listbox", name="Suggestions").get_by_role("option").first.wait_for()
    found += findings(page)
    ManagedImage.objects.all().delete()
    page.goto(pane)
    found += findings(page)
    assert not found, "\n".join(found)


def test_no_form_with_indexes_and_what_was_read_has_a_finding(
    new_page: Callable[..., Page],
    serve: Callable[..., str],
    cast: Cast,
    furnished: ManagedImage,
) -> None:
    page, found = new_page(cast.admin), list[str]()
    model = factories.make_model(cast.workspace, requirements="six")
    # Everything at once: taken, left out, refused, and options about all libraries.
    text = f"--pre\n--extra-index-url {TORCH}\nsix\nscipy=1.14\ntomli; python_version < '3'\n"
    images = "settings/managed-images"
    workspace = f"{serve(**VARIABLES)}/workspaces/{cast.workspace.pk}"
    for path, field in (
        (f"{images}/new", "Libraries"),
        (f"{images}/image/{furnished.name}/alter", "Libraries"),
        ("models/new", "Requirements"),
    ):
        page.goto(f"{workspace}/{path}")
        page.get_by_label(field).first.fill(text)
        page.get_by_role("region", name="What was read").wait_for()
        page.get_by_text("Any library may also come from pytorch-cpu.").wait_for()
        page.locator("summary", has_text="Left out").click()
        found += findings(page)
    page.goto(f"{workspace}/models/{model.pk}/swap/build")
    page.get_by_label("pytorch-cpu").wait_for()
    found += findings(page)
    assert not found, "\n".join(found)


def test_no_notice_of_a_base_image_or_a_discarded_wheel_has_a_finding(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page(cast.admin)
    pane = f"/workspaces/{cast.workspace.pk}/settings/managed-images"
    found: list[str] = []
    page.goto(f"{pane}/new")
    found += findings(page)
    factories.make_base_image(
        state=WorkState.FAILED, is_current=False, manifest_digest="",
        error_code="base_image_unusable", error_message="No route to host.",
    )  # fmt: skip
    image = factories.make_image("churn-xgboost", base=factories.make_base_image())
    image.builds.update(renewal="A library of it is built anew.")
    for path in (pane, f"{pane}/image/churn-xgboost"):
        page.goto(path)
        page.locator(".notice").wait_for()
        found += findings(page)
    assert not found, "\n".join(found)


def test_no_notice_of_a_missing_native_library_has_a_finding(
    new_page: Callable[..., Page], cast: Cast, base: BaseImage
) -> None:
    factories.make_lacking_image("blind", base=base)
    page = new_page(cast.admin)
    page.goto(f"/workspaces/{cast.workspace.pk}/settings/managed-images/image/blind")
    page.get_by_role("button", name="Add libgl1").wait_for()
    found = list(findings(page))
    assert not found, "\n".join(found)


def test_axe_would_find_something(new_page: Callable[..., Page], cast: Cast) -> None:
    page = new_page(cast.viewer)
    page.goto("/workspaces")
    page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    assert any(" label " in line for line in findings(page))


def test_a_workspace_without_anything_has_no_finding(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page(factories.make_user("newcomer"))
    page.goto("/workspaces")
    assert list(findings(page)) == []
