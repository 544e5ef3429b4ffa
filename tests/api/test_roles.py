"""The roles of a token's account, in the words of the original."""

from __future__ import annotations

import pytest

from tests.api.ask import Ask
from tests.cast import Cast


@pytest.mark.parametrize(
    ("name", "organization", "workspace", "implicit"),
    [
        ("admin", "ADMIN", "ADMIN", True),
        ("support", "SUPPORT", "SUPPORT", True),
        ("manager", "NONE", "ADMIN", False),
        ("member", "NONE", "USER", False),
        ("viewer", "NONE", "VIEWER", False),
    ],
)
def test_a_token_tells_its_roles_in_the_organization_and_its_own_workspace(
    ask: Ask, cast: Cast, name: str, organization: str, workspace: str, implicit: bool
) -> None:
    assert ask(getattr(cast, name), "GET", "/v1/users/roles").json()["roles"] == [
        {
            "subjectType": "SUBJECT_TYPE_ORGANIZATION",
            "subjectId": "",
            "role": f"ACTOR_ROLE_{organization}",
            "implicitGrant": False,
        },
        {
            "subjectType": "SUBJECT_TYPE_WORKSPACE",
            "subjectId": str(cast.workspace.pk),
            "role": f"ACTOR_ROLE_{workspace}",
            "implicitGrant": implicit,
        },
    ]
