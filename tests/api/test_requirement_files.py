"""`POST /v1/requirements:read`: files in, requirements out, for programs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.ask import Ask
from tests.cast import Cast


def body(text: str, name: str = "requirements.txt", **others: Any) -> dict[str, Any]:
    return {"files": [{"name": name, "text": text}], **others}


def test_what_became_of_each_line(ask: Ask, cast: Cast) -> None:
    text = "numpy>=1.26 \\\n  # why\nNumPy<3\npywin32; sys_platform == 'win32'\nscipy=1.14\n"
    told = ask(
        cast.viewer, "POST", "/v1/requirements:read", body(text, pythonVersion="3.11")
    ).json()
    assert told["requirements"] == [
        {
            "name": "numpy",
            "specifier": "<3,>=1.26",
            "extras": [],
            "index": "",
            "file": "requirements.txt",
            "line": 1,
        }
    ]
    assert [entry["line"] for entry in told["leftOut"]] == [4, 3]
    assert told["refused"] == [
        {
            "file": "requirements.txt",
            "line": 5,
            "text": "scipy=1.14",
            "message": "One equals sign is conda's; write scipy==1.14.",
        }
    ]
    assert (told["refusedMore"], told["pythonVersion"], told["locked"]) == (0, "", "")


def test_ten_refusals_are_told_and_the_number_of_the_others(ask: Ask, cast: Cast) -> None:
    told = ask(cast.viewer, "POST", "/v1/requirements:read", body("- numpy\n" * 48)).json()
    assert (len(told["refused"]), told["refusedMore"]) == (10, 38)


def test_groups_and_extras_are_offered_and_chosen(ask: Ask, cast: Cast) -> None:
    text = '[project]\nname = "churn"\n[dependency-groups]\ndev = ["pytest"]\n'
    plain = ask(cast.viewer, "POST", "/v1/requirements:read", body(text, "pyproject.toml")).json()
    assert (plain["groups"], plain["requirements"]) == (["dev"], [])
    chosen = body(text, "pyproject.toml", groups=["dev"])
    told = ask(cast.viewer, "POST", "/v1/requirements:read", chosen).json()
    assert [found["name"] for found in told["requirements"]] == ["pytest"]


def test_an_index_is_told_by_name_and_never_with_its_credentials(
    ask: Ask, cast: Cast, settings: Any
) -> None:
    settings.PACKAGE_INDEX_URL = "https://reader:secret@main.example/simple"
    settings.PACKAGE_EXTRA_INDEX_URLS = ["https://torch.example/whl/cpu"]
    text = "--index-url https://torch.example/whl/cpu/\ntorch\n"
    answer = ask(cast.viewer, "POST", "/v1/requirements:read", body(text))
    assert answer.json()["requirements"][0]["index"] == "extra-1"
    unknown = ask(
        cast.viewer, "POST", "/v1/requirements:read", body("-i https://other.example/simple\n")
    )
    assert "the indexes default and extra-1" in unknown.json()["refused"][0]["message"]
    assert "secret" not in answer.text + unknown.text


@pytest.mark.parametrize("python", ["2.7", "3", "latest"])
def test_another_python_is_refused_by_the_fields_name(ask: Ask, cast: Cast, python: str) -> None:
    wrong = ask(cast.viewer, "POST", "/v1/requirements:read", body("numpy", pythonVersion=python))
    assert wrong.status_code == 400
    assert wrong.json()["details"][0]["field"] == "python_version"
