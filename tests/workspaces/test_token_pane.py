"""Settings → API Access Tokens: created, shown once, revoked."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import ApiToken
from workspaces.operations import tokens


def pane(cast: Cast) -> str:
    return reverse("tokens", kwargs={"workspace_id": cast.workspace.pk})


@pytest.mark.slow
def test_a_token_is_shown_in_the_answer_to_its_creation_and_never_again(cast: Cast) -> None:
    client = cast.client(cast.member)
    answer = client.post(pane(cast), {"name": "nightly", "expiry_days": "30"})
    page = answer.content.decode()
    token = ApiToken.objects.get()
    (secret,) = [word for word in page.replace("<", ">").split(">") if word.startswith("ri_")]
    assert tokens.hash_of(secret) == token.secret_hash
    assert "no-store" in answer["Cache-Control"]
    again = client.get(pane(cast)).content.decode()
    assert secret not in again
    assert f"…{token.suffix}" in again


@pytest.mark.slow
def test_what_is_wrong_is_told_at_its_field(cast: Cast) -> None:
    client = cast.client(cast.member)
    answer = client.post(pane(cast), {"name": "", "expiry_days": "9999"})
    assert answer.status_code == 422
    assert b"less than or equal to 270" in answer.content
    client.post(pane(cast), {"name": "one", "expiry_days": "30"})
    twice = client.post(pane(cast), {"name": "one", "expiry_days": "30"})
    assert twice.status_code == 422
    assert b"You have a token named one" in twice.content


@pytest.mark.slow
def test_members_see_their_own_and_administrators_all(cast: Cast) -> None:
    tokens.create_token(Actor(cast.member), cast.workspace, "of-member")
    tokens.create_token(Actor(cast.viewer), cast.workspace, "of-viewer")
    seen = cast.client(cast.viewer).get(pane(cast)).content
    assert b"of-viewer" in seen
    assert b"of-member" not in seen
    everything = cast.client(cast.manager).get(pane(cast)).content
    assert b"of-viewer" in everything
    assert b"of-member" in everything


def test_revoking_asks_first_and_ends_the_token(cast: Cast) -> None:
    token = tokens.create_token(Actor(cast.member), cast.workspace, "nightly").token
    url = reverse("revoke_token", kwargs={"workspace_id": cast.workspace.pk, "token_id": token.pk})
    assert b"Revoke this token?" in cast.client(cast.member).get(url).content
    assert ApiToken.objects.exists()
    assert cast.client(cast.viewer).post(url).status_code == 404
    assert cast.client(cast.member).post(url).status_code == 302
    assert not ApiToken.objects.exists()
