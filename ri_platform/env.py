"""Reading configuration from the environment, strictly.

A value that cannot be read stops the start with the variable's name. Variables that are not set are
looked up in `$RI_STATE_DIR/run.env`, which `make run` writes: that is how `manage.py` beside it finds
the same services with nothing set. The environment always wins over that file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def read_env_file(path: Path) -> dict[str, str]:
    """`KEY=VALUE` lines of a file as a mapping; blank lines and `#` comments are skipped.

    A missing file is an empty mapping. Raises `ImproperlyConfigured` for any other line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    values = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator:
            raise ImproperlyConfigured(f"Line {number} of {path} is not of the form KEY=VALUE.")
        values[key.strip()] = value.strip()
    return values


class Env:
    """Typed access to variables, each read at most once while the settings load."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def load(cls, state_dir: Path) -> Env:
        return cls({**read_env_file(state_dir / "run.env"), **os.environ})

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, default)

    def secret(self, name: str) -> str:
        """A value from `NAME`, or from the file that `NAME_FILE` names, as orchestrators mount secrets."""
        path = self._values.get(f"{name}_FILE", "")
        if not path:
            return self._values.get(name, "")
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error.strerror}.") from error

    def flag(self, name: str, default: bool) -> bool:
        def parse(text: str) -> bool:
            lowered = text.lower()
            if lowered in _TRUE:
                return True
            if lowered in _FALSE:
                return False
            raise ValueError("use true or false")

        return self.parsed(name, parse, default)

    def integer(self, name: str, default: int, *, minimum: int = 0) -> int:
        def parse(text: str) -> int:
            value = int(text)
            if value < minimum:
                raise ValueError(f"the least is {minimum}")
            return value

        return self.parsed(name, parse, default)

    def words(self, name: str, default: list[str]) -> list[str]:
        """A comma-separated list; empty entries are dropped."""
        return self.parsed(
            name, lambda text: [word.strip() for word in text.split(",") if word.strip()], default
        )

    def url(self, name: str, default: str = "") -> str:
        """An http(s) address without a trailing slash, or empty."""

        def parse(text: str) -> str:
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError("it must start with http:// or https://")
            return text.rstrip("/")

        return self.parsed(name, parse, default)

    def database(self, name: str, default: str) -> dict[str, Any]:
        config = environ.Env.db_url_config(self._values.get(name) or default)
        if config.get("ENGINE") != "django.db.backends.postgresql":
            raise ImproperlyConfigured(
                f"{name} cannot be read: it must be a postgres:// address; "
                "the product's truth lives in PostgreSQL and nothing else."
            )
        # libpq's own form of a Unix socket: its folder, percent-encoded, in the host's place.
        return {**config, "HOST": unquote(config.get("HOST") or "")}

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        text = self._values.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} cannot be read: {error}.") from error
