"""Lists of the API are paged by keyset, and no row is left out."""

from __future__ import annotations

from itertools import chain
from urllib.parse import urlencode

import pytest

from images.models import Webhook
from tests.api.ask import Ask
from tests.cast import Cast
from tests.many_rows import (
    ROWS,
    Make,
    make_builds,
    make_events,
    make_history,
    make_members,
    make_models,
    make_tokens,
    make_webhooks,
)

# A list of the API, the key of its rows, and what makes them.
LISTS: dict[str, tuple[str, Make]] = {
    "/v1/users": ("users", make_members),
    "/v1/users/api-tokens": ("apiTokenInfos", make_tokens),
    "/v1/organization/api-tokens": ("apiTokenInfos", make_tokens),
    "/v1/audit-events": ("events", make_events),
    "/v1/workspace/{workspace}/users": ("users", make_members),
    "/v1/workspace/{workspace}/models": ("models", make_models),
    "/v1/models/{model}/image/history": ("images", make_history),
    "/v1/images/churn/builds": ("builds", make_builds),
    "/v1/webhooks": ("webhooks", make_webhooks),
    "/v1/webhooks/{webhook}/deliveries": ("deliveries", make_webhooks),
}


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.slow
def test_pages_of_the_api_have_each_row_once(
    path: str, cast: Cast, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, make = LISTS[path]
    make(cast)
    model, webhook = cast.workspace.models.first(), Webhook.objects.order_by("pk").first()
    address = path.format(
        workspace=cast.workspace.pk,
        model=model.pk if model else "",
        webhook=webhook.pk if webhook else "",
    )
    whole = ask(cast.admin, "GET", address).json()[key]
    monkeypatch.setattr("workspaces.api.accounts.PAGE_SIZE", 3)
    size = {} if path == "/v1/users" else {"pageSize": "3"}
    found, token = [], ""
    while True:
        query = urlencode({**size, "pageToken": token})
        page = ask(cast.admin, "GET", f"{address}?{query}").json()
        found.append(page[key])
        if page["nextPageToken"] == token:
            break
        token = page["nextPageToken"]
    assert len(whole) >= ROWS
    assert all(len(rows) <= 3 for rows in found)
    assert list(chain(*found)) == whole


def test_a_token_that_no_list_gave_out_is_refused(cast: Cast, ask: Ask) -> None:
    for path in ("/v1/users/api-tokens", "/v1/webhooks"):
        assert ask(cast.admin, "GET", f"{path}?pageToken=2026,x").status_code == 400
