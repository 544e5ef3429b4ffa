"""Values about what runs: the settings that a container starts with, and the trial of an image's imports."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RunTime:
    """Settings that a container of an image starts with, beside the base image's.

    In a call, None leaves a setting as it is, and an empty value leaves it to the base image. Everybody who
    can pull the image reads them: they are no place for secrets.
    """

    env: Mapping[str, str] | None = None
    working_dir: str | None = None
    user: str | None = None
    entrypoint: Sequence[str] | None = None
    labels: Mapping[str, str] | None = None

    @property
    def by_title(self) -> dict[str, str]:
        """Title of each setting that is not empty → its value as text."""
        single = {
            "Folder": self.working_dir or "",
            "User": self.user or "",
            "Entry point": shlex.join(self.entrypoint or ()),
        }
        return {
            **({"Variables": join_pairs(self.env)} if self.env else {}),
            **{title: value for title, value in single.items() if value},
            **({"Labels": join_pairs(self.labels)} if self.labels else {}),
        }


# Every setting is the base image's.
UNSET = RunTime()


def join_pairs(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


@dataclass(frozen=True)
class ImportFailure:
    """A module that could not be imported, with the last lines of the traceback; `hint` is what helps.

    An empty `module` stands for its whole requirement.
    """

    module: str
    requirement: str
    message: str
    hint: str


@dataclass(frozen=True)
class ImportCheck:
    """The trial of the imports of an image's current build.

    `status` is `PENDING`, `PASSED`, `FAILED` or `SKIPPED`; `message` says why it was skipped. `tried` is the
    number of modules, `seconds` the time of the imports. `conflicts` are requirements of installed libraries
    that do not hold.
    """

    status: str
    tried: int
    failed: tuple[ImportFailure, ...]
    conflicts: tuple[str, ...]
    seconds: float | None
    message: str

    @property
    def is_pending(self) -> bool:
        """Whether it has not ended."""
        return self.status == "PENDING"
