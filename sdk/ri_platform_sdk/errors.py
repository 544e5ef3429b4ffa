"""The exceptions of the client, each with the server's message."""

from __future__ import annotations

from typing import Any


class RIPlatformError(Exception):
    """Base of all errors of this package.

    `status` is the HTTP status (0 where there was no answer), `reason` the server's stable code such as
    `no_wheel` or `conflict`, `field` the part of the request that it is about, if any.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.field = field


class ConnectionFailed(RIPlatformError):
    """The server cannot be reached, or the connection broke."""


class InvalidRequest(RIPlatformError):
    """Something in the request cannot be: a name, a requirement, a Python version."""


class Unauthorized(RIPlatformError):
    """The API access token is missing, wrong, expired or revoked."""


class Forbidden(RIPlatformError):
    """The token's user lacks the privilege, as for removing an image."""


class NotFound(RIPlatformError):
    """There is nothing of this name."""


class Conflict(RIPlatformError):
    """The name is taken, or the image is in a state that does not allow this."""


class TooManyRequests(RIPlatformError):
    """Asked too often, also after all retries."""


class Unavailable(RIPlatformError):
    """The server, or something it needs, is not there right now."""


class BuildFailed(RIPlatformError):
    """The build that was waited for failed; `reason` is its stable code, `hint` says what to do."""

    def __init__(self, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip(), reason=reason)
        self.hint = hint


class WaitTimeout(RIPlatformError):
    """The build did not end in the time that was given; it goes on all the same."""


BY_STATUS: dict[int, type[RIPlatformError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
    503: Unavailable,
}


def error_of(status: int, body: Any) -> RIPlatformError:
    """The exception for an answer, whatever stands in it."""
    message, reason, field = f"The server answered {status}.", "", ""
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        message = body["message"]
        details = body.get("details") or [{}]
        reason, field = details[0].get("reason", ""), details[0].get("field", "")
    return BY_STATUS.get(status, RIPlatformError)(
        message, status=status, reason=reason, field=field
    )
