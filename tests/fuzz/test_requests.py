"""What people and programs send: requirement files, page tokens, bodies of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import strategies as st

from images.models import BaseImage
from images.queries.keyset import ListFilter, page_token, read_page_token
from images.requirement_files import SuppliedFile, read
from ri_platform.errors import Invalid
from tests import factories
from tests.cast import Cast
from tests.fuzz.fuzzing import JSON, altered, damaged, damaged_text, fuzz
from workspaces.access import Actor
from workspaces.operations import tokens

pytestmark = pytest.mark.slow

FILES = Path(__file__).parents[1] / "images/requirement_files/files"


@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_a_damaged_file_is_read_or_refused(path: Path) -> None:
    whole = path.read_text(encoding="utf-8")
    name = path.name.partition("-")[2] if path.name.endswith("-pyproject.toml") else path.name

    def attempt(text: str) -> None:
        reading = read([SuppliedFile(name, text)], python_version="3.11")
        for refused in reading.refused:
            assert refused.message
            assert len(str(refused)) < 2_000

    fuzz(attempt, damaged_text(whole) | st.text(max_size=200))


def test_page_tokens_are_ours_or_refused() -> None:
    ours = page_token("some-image", ListFilter(search="churn"))

    def attempt(token: str) -> None:
        try:
            found = read_page_token(token)
        except Invalid:
            return
        assert found == read_page_token(ours)

    fuzz(attempt, damaged_text(ours) | st.text(max_size=60))


BODIES: dict[str, tuple[str, str, Any]] = {
    "create": (
        "POST",
        "/v1/images",
        {
            "name": "fuzzed",
            "imageType": "all",
            "pythonVersion": "3.11",
            "pipRequirements": [{"name": "numpy", "versionSpecifier": "==2.0", "extras": ["a"]}],
            "packageRequirements": [{"name": "libgl1"}],
            "description": "words",
            "environment": {"A": "b"},
        },
    ),
    "alter": ("PATCH", "/v1/images/churn", {"pipRequirements": [{"name": "six"}]}),
    "list": ("POST", "/v1/images/list", {"pageToken": "", "pageSize": 10, "pipLibraries": []}),
    "match": ("POST", "/v1/images:match", {"pipRequirements": [{"name": "numpy"}], "limit": 3}),
    "roll back": ("POST", "/v1/images/churn:rollBack", {"build": 1}),
    "files": (
        "POST",
        "/v1/requirement-files:read",
        {"files": [{"name": "requirements.txt", "text": "numpy"}], "pythonVersion": "3.11"},
    ),
    "channel": ("PUT", "/v1/images/churn/channels/stable", {"build": 1}),
}


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_the_api_are_taken_or_refused(name: str, cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base)
    method, path, whole = BODIES[name]
    client = Client(raise_request_exception=True)
    secret = tokens.create_token(Actor(cast.admin), cast.workspace, "fuzz").secret

    def attempt(body: bytes) -> None:
        answer = client.generic(
            method, path, body, content_type="application/json", headers={"rime-api-key": secret}
        )
        assert answer.status_code < 500, answer.content

    values = (altered(whole) | JSON).map(lambda value: json.dumps(value).encode())
    fuzz(attempt, values | damaged(json.dumps(whole).encode()))


def test_files_together_are_read_or_refused() -> None:
    names = st.sampled_from(sorted(path.name for path in FILES.iterdir()))
    texts = st.sampled_from([path.read_text("utf-8") for path in sorted(FILES.iterdir())])
    file = st.builds(SuppliedFile, names, texts.flatmap(damaged_text))

    def attempt(files: list[SuppliedFile]) -> None:
        reading = read(files, python_version="3.11")
        assert all(refused.message for refused in reading.refused)

    fuzz(attempt, st.lists(file, min_size=1, max_size=4))
