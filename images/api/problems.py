"""The reason of a failure, as an answer tells it."""

from __future__ import annotations

from pydantic import Field

from images.models import Lease, RefusedRepository
from ri_platform.api import Camel


class Problem(Camel):
    """The reason of a failure."""

    reason: str = Field(examples=["resolution_failed"])
    """A stable code."""
    message: str
    """The problem, as a sentence."""
    hint: str
    """The remedy; may be empty."""


def problem(work: Lease | RefusedRepository) -> dict[str, str] | None:
    """The error of failed work, empty for other work."""
    if not work.error_code:
        return None
    return {"reason": work.error_code, "message": work.error_message, "hint": work.error_hint}
