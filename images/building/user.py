"""The user without rights that images run as."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class User:
    """An account of passwd(5); `*` is a password that nobody can have, so no shadow entry is needed."""

    name: str
    number: int

    @property
    def home(self) -> str:
        return f"/home/{self.name}"

    @property
    def passwd(self) -> str:
        return f"{self.name}:*:{self.number}:{self.number}::{self.home}:/bin/sh\n"

    @property
    def group(self) -> str:
        return f"{self.name}:*:{self.number}:\n"

    @property
    def runs_as(self) -> str:
        """`User` of an image's config (image-spec, config.md), in numbers for Kubernetes' runAsNonRoot."""
        return f"{self.number}:{self.number}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment by which programs know the account where passwd has no entry of it."""
        return {"HOME": self.home, "USER": self.name}


USER = User("app", 10001)
