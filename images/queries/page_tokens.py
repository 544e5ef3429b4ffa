"""Page tokens of REST lists: signed, so that what comes back is what was given out."""

from __future__ import annotations

from typing import Any

from django.core import signing

from ri_platform.pages import unknown_token


def sign_content(content: list[Any], salt: str) -> str:
    """A token that holds `content` for the list that `salt` names; another list does not read it."""
    return signing.dumps(content, salt=salt)


def read_content(token: str, salt: str) -> Any:
    """What a token holds. Raises `Invalid` for one that this list did not give out."""
    try:
        return signing.loads(token, salt=salt)
    except signing.BadSignature as error:
        raise unknown_token() from error
