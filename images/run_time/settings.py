"""Run-time settings as one immutable value, from the form to the configuration of the image."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RunTime:
    """The settings that a container of the image starts with; an empty one leaves the base image's.

    `env` and `labels` are (name, value), in the order of their names, so that equal settings are equal
    values. They are checked by `images.run_time.checks`. Source: OCI image-spec 1.1, config.md.
    """

    env: Pairs = ()
    working_dir: str = ""
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    labels: Pairs = ()

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> RunTime:
        """The value that `as_json` stored."""
        return cls(
            env=pairs(stored.get("env", {})),
            working_dir=stored.get("working_dir", ""),
            user=stored.get("user", ""),
            entrypoint=tuple(stored.get("entrypoint", ())),
            labels=pairs(stored.get("labels", {})),
        )

    def as_json(self) -> dict[str, Any]:
        """The settings that are not empty."""
        return {name: value for name, value in self.everything().items() if value}

    def everything(self) -> dict[str, Any]:
        """All settings, also the empty ones."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return found | {
            "env": dict(self.env),
            "labels": dict(self.labels),
            "entrypoint": list(self.entrypoint),
        }

    def by_group(self) -> dict[str, list[str]]:
        """Title → the lines of its settings, where there are any; variables and labels are one group each."""
        found = {
            "Variables": [f"{name}={value}" for name, value in self.env],
            "Working folder": [self.working_dir],
            "User": [self.user],
            "Entry point": [shlex.join(self.entrypoint)],
            "Labels": [f"{name}={value}" for name, value in self.labels],
        }
        return {title: lines for title, lines in found.items() if any(lines)}

    def by_title(self) -> dict[str, str]:
        """Title of a setting → its value as text, for pages that compare settings."""
        single = {
            "Working folder": self.working_dir,
            "User": self.user,
            "Entry point": shlex.join(self.entrypoint),
        }
        # Quotation marks, as an empty variable is not the same as none.
        return {
            **{f"Variable {name}": value or '""' for name, value in self.env},
            **{title: value for title, value in single.items() if value},
            **{f"Label {name}": value or '""' for name, value in self.labels},
        }


def pairs(values: Mapping[str, str]) -> Pairs:
    return tuple(sorted(values.items()))


NO_SETTINGS = RunTime()
