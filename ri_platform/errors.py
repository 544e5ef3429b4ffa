"""The errors that users see. Each has a stable code, an HTTP status, and a party that must act.

Operations raise them, and `ri_platform.middleware` renders them as a page, an HTMX fragment or JSON. The
message is a complete sentence about the problem; `hint` says what to do.
"""

from __future__ import annotations

from typing import ClassVar, Literal

# The header WWW-Authenticate of a 401 (RFC 9110, 11.6.1; RFC 6750, 3).
CHALLENGE = 'Bearer realm="RI Platform"'


class DomainError(Exception):
    """The base class of all errors that users see.

    `code` never changes after a release: clients and runbooks match on it. `retry_after`, in seconds, says
    when the same request may succeed, where that is known (RFC 9110, 10.2.3).
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    must_act: ClassVar[Literal["user", "operator"]] = "user"

    def __init__(
        self, message: str, *, hint: str = "", field: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    @property
    def details(self) -> list[dict[str, str]]:
        """The details for API clients: the code, and the field of the problem."""
        return [{"reason": self.code, "field": self.field}]


class Invalid(DomainError):
    """The request is well formed but asks for something impossible."""

    code = "invalid"
    status = 400


class Unauthenticated(DomainError):
    """The request has no valid credentials."""

    code = "unauthenticated"
    status = 401

    def __init__(self, message: str, *, hint: str = "", given: bool) -> None:
        """`given` means that the request has a token, but an invalid one."""
        super().__init__(message, hint=hint)
        self.challenge = CHALLENGE + (', error="invalid_token"' if given else "")


class RequestTimeout(DomainError):
    """The client did not send all of its request in time (RFC 9110, 15.5.9)."""

    code = "request_timeout"
    status = 408


class TooLarge(DomainError):
    """The request's body exceeds the limit (RFC 9110, 15.5.14)."""

    code = "too_large"
    status = 413


class TooManyRequests(DomainError):
    """The client sends too many requests; `retry_after` says when it may try again."""

    code = "too_many_requests"
    status = 429


class NotAllowed(DomainError):
    """The actor is known and may see the object, but lacks the privilege for this action."""

    code = "not_allowed"
    status = 403


class NotFound(DomainError):
    """The object does not exist, or the actor may not know that it does."""

    code = "not_found"
    status = 404


class MethodNotAllowed(DomainError):
    """The address does not support this HTTP method."""

    code = "method_not_allowed"
    status = 405


class Conflict(DomainError):
    """The object is in a state that this action cannot start from, or the name is taken."""

    code = "conflict"
    status = 409


class QueryTimeout(DomainError):
    """A statement took the database longer than `RI_STATEMENT_TIMEOUT_SECONDS`."""

    code = "query_timeout"
    status = 503
    must_act = "operator"


class DatabaseAway(DomainError):
    """PostgreSQL cannot be reached, or ended while it was asked; whether a change was made is not known."""

    code = "database_away"
    status = 503
    must_act = "operator"


class Unavailable(DomainError):
    """A service that the platform needs is not available."""

    code = "unavailable"
    status = 503
    must_act = "operator"
