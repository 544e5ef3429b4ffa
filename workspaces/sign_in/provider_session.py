"""The HTTP session for identity providers. It reads answers up to a limit, like `ri_platform.bounded`."""

from __future__ import annotations

from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

# Configurations, keys and claims of an OpenID Connect provider have some ten kilobytes.
MAX_ANSWER = 2 << 20
PIECE = 1 << 16


class BoundedAdapter(HTTPAdapter):
    """An HTTP adapter that reads each answer up to a limit, also those of redirects.

    Raises `RequestException` past the limit.
    """

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        response = super().send(request, *arguments, **{**options, "stream": True})
        body = b""
        for piece in response.iter_content(PIECE):
            body += piece
            if len(body) > MAX_ANSWER:
                response.close()
                raise RequestException(
                    f"The identity provider answered with more than {MAX_ANSWER:,} bytes."
                )
        # The cache of `Response.content`; requests has no public way to set it.
        response._content = body
        return response


def bound_session(session: Session) -> Session:
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter())
    return session
