"""Links by mail, asked for by REST."""

from __future__ import annotations

from typing import Any

from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.models import User


def test_a_link_is_mailed_and_what_became_of_it_is_told(
    ask: Ask, cast: Cast, settings: Any
) -> None:
    path = f"/v1/users/{cast.member.pk}"
    assert ask(cast.admin, "GET", f"{path}/password-mail").status_code == 404
    assert ask(cast.admin, "POST", f"{path}:mailPasswordLink").status_code == 400
    settings.MAIL_CONFIGURED = True
    answer = ask(cast.admin, "POST", f"{path}:mailPasswordLink")
    assert "no e-mail address" in answer.json()["message"]
    User.objects.filter(pk=cast.member.pk).update(email="ada@example.org")
    made = ask(cast.admin, "POST", f"{path}:mailPasswordLink").json()
    assert (made["to"], made["state"], made["attempts"]) == ("ada@example.org", "waiting", 0)
    assert ask(cast.admin, "GET", f"{path}/password-mail").json() == made
    assert ask(cast.manager, "GET", f"{path}/password-mail").status_code == 403
