"""Everything that the console does, programs can: the table in docs/api.md, held against the routes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from ri_platform.urls import api
from tests.api.endpoints import ENDPOINTS
from tests.routes import ROUTES
from workspaces.access import TABLE, Action

DOCUMENT = (Path(settings.BASE_DIR) / "docs/api.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.split("## What the console does, by REST")[1].split("\n## ")[0]
CALLS, REASONS = SECTION.split("Routes and verbs without a call:")
VERBS: dict[str, Action] = {f"{method} {path}": view.needs for method, path, view in ENDPOINTS}
NO_TOKEN_MAY = {action for action, rule in TABLE.items() if rule.token_refusal}
ROUTED = {str(route.name): route.callback for route in ROUTES}


def rows(table: str) -> dict[str, str]:
    """What stands in the first column, each name by itself → the second column."""
    found: dict[str, str] = {}
    for line in re.findall(r"^\| (`.+)\|$", table, re.MULTILINE):
        first, _, second = line.partition("|")
        for name in re.findall(r"`([^`]+)`", first):
            assert name not in found, f"{name} stands there twice."
            found[name] = second.strip()
    return found


def calls_of(text: str) -> list[str]:
    return re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) [^`]+)`", text)


def test_each_route_of_the_console_has_a_call_or_a_reason() -> None:
    calls, reasons = rows(CALLS), rows(REASONS)
    for name in ROUTED:
        assert (name in calls) != (name in reasons), name
        if name in reasons:
            assert len(reasons[name].split()) >= 2, name


def test_a_call_exists_and_asks_for_what_its_route_asks() -> None:
    for name, told in rows(CALLS).items():
        calls = calls_of(told)
        assert calls, name
        assert set(calls) <= set(VERBS), name
        view: Any = ROUTED[name]
        asked = {VERBS[call] for call in calls}
        assert {view.needs, view.needs_to_post} - NO_TOKEN_MAY <= asked, name


def test_each_verb_of_the_access_table_is_some_calls_or_has_a_reason() -> None:
    reasons = rows(REASONS)
    for action in Action:
        by_call = action in VERBS.values() and action not in NO_TOKEN_MAY
        assert by_call != (action.value in reasons), action


@pytest.mark.slow
def test_the_table_names_nothing_that_is_not_there() -> None:
    values = {action.value for action in Action}
    assert set(rows(CALLS)) <= set(ROUTED)
    assert set(rows(REASONS)) <= set(ROUTED) | values
    published = {
        f"{method.upper()} {path}"
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    }
    assert set(VERBS) == published
