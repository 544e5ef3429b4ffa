"""Lists of the console are paged by keyset: forth and back, and no row is left out."""

from __future__ import annotations

import re
from html import unescape
from importlib import import_module
from itertools import chain
from typing import Any

import pytest
from django.db import connection

from ri_platform.pages import all_in_order, read_place
from tests.cast import Cast
from tests.many_rows import (
    ROWS,
    Make,
    make_builds,
    make_events,
    make_members,
    make_models,
    make_tokens,
    make_workspaces,
)
from workspaces.models import AuditEvent, User

pytestmark = pytest.mark.slow

ORGANIZATION = "workspaces.views.organization"
# A page, the module that has its size, and what makes its rows.
PAGES: dict[str, tuple[str, Make]] = {
    "organization/members": (ORGANIZATION, make_members),
    "organization/tokens": (ORGANIZATION, make_tokens),
    "organization/audit": (ORGANIZATION, make_events),
    "workspaces": ("workspaces.views.workspaces", make_workspaces),
    "workspaces/{workspace}": ("workspaces.views.workspaces", make_members),
    "workspaces/{workspace}/settings/members": ("workspaces.views.members", make_members),
    "workspaces/{workspace}/settings/tokens": ("workspaces.views.tokens", make_tokens),
    "workspaces/{workspace}/models": ("images.views.ml_models", make_models),
    "{image}/builds": ("images.views.image_page", make_builds),
    "{image}/revisions": ("images.views.image_page", make_builds),
}


def shown_by(page: Any) -> list[Any]:
    return [row.pk for row in page.context["page"].rows]


def follow(client: Any, address: str, page: Any, rel: str) -> Any:
    """The page that the link leads to; None if there is no such link."""
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page.content.decode())
    return client.get(address + unescape(found[1])) if found else None


@pytest.mark.parametrize("path", PAGES)
def test_pages_of_the_console_lead_forth_and_back(
    path: str, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, make = PAGES[path]
    make(cast)
    image = f"workspaces/{cast.workspace.pk}/settings/managed-images/image/churn"
    address = "/" + path.format(workspace=cast.workspace.pk, image=image)
    client = cast.client(cast.admin)
    whole = shown_by(client.get(address))
    monkeypatch.setattr(import_module(module), "PAGE_SIZE", 3)
    pages = [client.get(address)]
    while (following := follow(client, address, pages[-1], "next")) is not None:
        pages.append(following)
    shown = [shown_by(page) for page in pages]
    assert len(whole) >= ROWS
    assert list(chain(*shown)) == whole
    assert follow(client, address, pages[0], "prev") is None
    assert shown_by(follow(client, address, pages[2], "prev")) == shown[1]
    for place in ("after=", "after=x,y", "before=%00", "after=9e99"):
        assert client.get(f"{address}?{place}").status_code in (200, 400)


def test_a_place_is_read_as_it_was_written(db: None) -> None:
    assert read_place(User, "", ("username",)) is None
    assert read_place(User, "a%2Cb", ("username",)) == ["a,b"]
    assert read_place(User, "a,b", ("username",)) is None
    assert read_place(User, "a%00", ("username",)) is None
    assert read_place(User, "99999999999999999999", ("id",)) is None


def test_every_row_is_read_once_and_nothing_stays_open_at_the_server(cast: Cast) -> None:
    make_events(cast)
    newest_first = list(AuditEvent.objects.order_by("-pk"))
    rows = all_in_order(AuditEvent.objects.all(), ("id",), 2, descending=True)
    begun = [next(rows) for _ in range(3)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        assert cursor.fetchone() == (0,)
    assert len(newest_first) >= ROWS
    assert [*begun, *rows] == newest_first
