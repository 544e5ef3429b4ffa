"""Schemas of import checks: whether what was asked for can be imported."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from ri_platform.api import Camel

ImportPolicyName = Literal["", "warn", "refuse", "off"]


class ImportFailure(Camel):
    """A module that could not be imported."""

    module: str = Field(examples=["cv2"])
    """Its name; empty if the whole requirement, or the whole trial, failed."""
    requirement: str = Field(examples=["opencv-python"])
    """The normalized name of the library that brings it."""
    message: str
    """The last lines of the traceback, or a sentence."""
    hint: str
    """The remedy; may be empty."""


class ImportConflict(Camel):
    """A requirement of an installed library that does not hold, by the rules of `pip check`."""

    library: str = Field(examples=["matplotlib"])
    """The library that has the requirement."""
    requirement: str = Field(examples=["numpy>=2"])
    """The requirement."""
    message: str
    """The problem, as a sentence."""


class ImportCheckOut(Camel):
    """The trial of the imports of the image's current build."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "PASSED",
                "tried": 12,
                "failed": [],
                "conflicts": [],
                "seconds": 1.9,
                "message": "",
            }
        }
    )

    status: Literal["PENDING", "PASSED", "FAILED", "SKIPPED"]
    """`PENDING` until it ends. `SKIPPED` if it could not be tried; `message` says why."""
    tried: int
    """The number of modules that were imported, or should have been."""
    failed: list[ImportFailure]
    """The modules that could not be imported."""
    conflicts: list[ImportConflict]
    """The requirements that do not hold."""
    seconds: float | None = None
    """Seconds that the imports took."""
    message: str
    """The reason why it was skipped; else empty."""


class ImportPolicyIn(Camel):
    """The policy for later builds of an image."""

    import_policy: ImportPolicyName
    """`warn`: imports are tried once the image is ready. `refuse`: a build whose imports fail fails.
    `off`: they are not tried. Empty: as the installation has it."""
