"""Reading a registry's answers: waits, and our errors for those of 400 and more.

Sources: OCI distribution-spec 1.1, "Error Codes"; RFC 9110 (Retry-After); for ECR's own ways its user guide.
"""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from images.errors import (
    RegistryDenied,
    RegistryError,
    RegistryNotFound,
    RegistryUnavailable,
    RepositoryMissing,
    TagTaken,
)

RETRIED = frozenset({429, 500, 502, 503, 504})


def may_be_expired(response: httpx.Response) -> bool:
    """Whether a 403 may be of a token whose time is over.

    ECR answers so instead of with a 401 and a challenge: "Your authorization token has expired.
    Reauthenticate and try again." To HEAD it can say nothing at all.
    """
    return not response.content or b"token has expired" in response.content


def is_unknown_yet(response: httpx.Response) -> bool:
    """Whether the registry does not know the repository (distribution-spec, "Error Codes")."""
    if response.status_code != 404:
        return False
    return "NAME_UNKNOWN" in registry_words(response)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the answer asks to wait (RFC 9110, 10.2.3), or None."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def response_error(
    method: str, target: httpx.URL, response: httpx.Response, needed: Callable[[str, str], str]
) -> RegistryError:
    """Our error for an answer of 400 or more, with the registry's own words.

    `needed(method, path)` says which permission the registry asks for; an answer to HEAD cannot say it.
    """
    where = f"{method} {target.path}"
    said = registry_words(response)
    status = response.status_code
    if status in (401, 403):
        return RegistryDenied(
            f"The registry refused {where}: {said}",
            hint=f"An operator must check this worker's role{needed(method, target.path)}.",
        )
    if "BLOB_UPLOAD_UNKNOWN" in said:
        return RegistryUnavailable(
            f"The registry no longer knows the upload of {where}: {said}",
            hint="The platform tried several times; build again in a while.",
        )
    if status == 404:
        kind = RepositoryMissing if "NAME_UNKNOWN" in said else RegistryNotFound
        return kind(f"The registry knows nothing of {where}: {said}")
    if "TAG_INVALID" in said or "immutable" in said:
        return TagTaken(
            f"The registry keeps the tag where it is, {where}: {said}",
            hint="Somebody else writes to this repository; an operator must look.",
        )
    if status in RETRIED:
        return RegistryUnavailable(
            f"The registry answered {status} to {where}: {said}",
            hint="The platform tried several times; build again in a while.",
        )
    return RegistryError(f"The registry answered {status} to {where}: {said}")


def registry_words(response: httpx.Response) -> str:
    """`errors[].message` of the distribution specification, or the reason phrase."""
    try:
        errors = response.json().get("errors", [])
        words = "; ".join(f"{e.get('code', '')} {e.get('message', '')}".strip() for e in errors)
    except (ValueError, AttributeError):
        words = ""
    return words or response.reason_phrase or str(response.status_code)
