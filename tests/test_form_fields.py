"""A field's help and errors are read out with it: each id that `aria-describedby` names is on the page."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.urls import reverse

from images.models import BaseImage, ManagedImage
from tests import factories
from tests.cast import Cast
from tests.routes import ROUTES, address_of


class Ids(HTMLParser):
    """The ids of a page, those that its fields are described by, and the fields in error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.described_by: list[str] = []
        self.invalid: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if identity := values.get("id"):
            self.ids.append(identity)
        self.described_by += (values.get("aria-describedby") or "").split()
        if "aria-invalid" in values:
            self.invalid.append(values.get("aria-describedby") or "nothing")


@pytest.fixture
def image(base: BaseImage, cast: Cast) -> ManagedImage:
    return factories.make_image("churn", base=base, created_by=cast.admin)


@pytest.mark.slow
def test_what_describes_a_field_is_on_its_page(cast: Cast, image: ManagedImage) -> None:
    client = cast.confirmed_client(cast.admin)
    described = 0
    for route in ROUTES:
        address = address_of(route, cast, image)
        answer = client.get(address)
        if answer.status_code != 200 or answer.streaming or b"<html" not in answer.content:
            continue
        page = Ids(answer.content.decode())
        assert set(page.described_by) <= set(page.ids), address
        assert len(page.ids) == len(set(page.ids)), address
        described += len(page.described_by)
    assert described > 10


@pytest.mark.parametrize(
    "route",
    [
        "new_image", "alter_image", "new_model", "edit_model", "swap_external", "swap_build",
        "create_workspace", "settings", "edit_member", "tokens", "create_account", "change_role",
        "organization", "account_change_password", "mfa_activate_totp",
    ],
)  # fmt: skip
@pytest.mark.slow
def test_the_errors_of_a_field_describe_it(route: str, cast: Cast, image: ManagedImage) -> None:
    pattern = next(found for found in ROUTES if found.name == route)
    wrong = {"requirements": "a b", "time_zone": "Nowhere", "name": ""}
    address = address_of(pattern, cast, image)
    answer = cast.confirmed_client(cast.admin).post(address, wrong)
    page = Ids(answer.content.decode())
    assert page.invalid
    assert all("_error" in named for named in page.invalid), page.invalid
    assert set(page.described_by) <= set(page.ids)


def test_the_errors_of_a_filter_describe_it(cast: Cast) -> None:
    answer = cast.client(cast.admin).get(reverse("audit_log"), {"since": "yesterday"})
    page = Ids(answer.content.decode())
    assert page.invalid == ["id_since_error"]
    assert "id_since_error" in page.ids
