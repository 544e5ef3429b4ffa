"""A finding of a verification: a stable code, what it is about, and a sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from images.models import FindingCode


@dataclass(frozen=True, order=True)
class Finding:
    """`subject` is the name of an image, a base image, a repository or a piece of work; `build` its number.

    `said` is a whole sentence. `digest` is that of the manifest or blob in question, empty if none is.
    """

    code: FindingCode
    subject: str
    said: str
    build: int | None = None
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "code": self.code.value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, "code": FindingCode(data["code"])})
