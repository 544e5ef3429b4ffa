"""Reading configuration from the environment, strictly.

A value that cannot be parsed stops the start with an error that names the variable. Every variable is
declared where it is read, with the text for `docs/configuration.md` (`make docs`). A variable that is not set
is looked up in `$RI_STATE_DIR/run.env`, which `make run` writes, so that `manage.py` finds the same services
without configuration. The environment takes precedence over that file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

# How mail travels, by the scheme of the server's address: in the clear, with STARTTLS, in TLS from the start.
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
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


@dataclass(frozen=True)
class Variable:
    """A variable as the documentation shows it. A `secret` may stand in a file instead: `NAME_FILE`."""

    name: str
    section: str
    kind: str
    default: str
    help: str
    secret: bool = False


class Env:
    """Typed access to variables. Reading a variable declares it; `help` is its documentation."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._section = ""
        self.declared: dict[str, Variable] = {}
        # True if the address of the database comes from the file of `make run`.
        self.beside_make_run = False

    def fall_back_on(self, path: Path) -> None:
        """Use a file of `KEY=VALUE` lines, if it exists, for variables that are not set."""
        found = read_env_file(path)
        self.beside_make_run = "DATABASE_URL" in found and "DATABASE_URL" not in self._values
        self._values = {**found, **self._values}

    def section(self, title: str) -> None:
        """Begin a section of the documentation: later variables belong to it."""
        self._section = title

    def is_set(self, name: str) -> bool:
        return bool(self._values.get(name, "").strip())

    def unknown_names(self) -> list[str]:
        """Variables with our prefix that are set but not declared, such as mistyped names."""
        known = {*self.declared, *(f"{v.name}_FILE" for v in self.declared.values() if v.secret)}
        return sorted(
            name
            for name in self._values
            if name.startswith("RI_") and not name.startswith("RI_TEST_") and name not in known
        )

    def secret_values(self) -> Iterator[str]:
        """The values of all declared secrets; for an address, its password."""
        for variable in self.declared.values():
            if not variable.secret:
                continue
            value = self._value(variable.name, secret=True)
            if "://" not in value:
                yield value
                continue
            for address in value.split(","):
                password = urlsplit(address.strip()).password or ""
                yield from (password, unquote(password))

    # --- declaring and reading -------------------------------------------------------------------------

    def elsewhere(self, name: str, kind: str, default: str = "", *, help: str) -> None:
        """Declare a variable that something other than the settings reads."""
        self._declare(name, kind, default, help, secret=False)

    def text(self, name: str, default: str = "", *, help: str) -> str:
        self._declare(name, "text", default, help, secret=False)
        return self._values.get(name, default)

    def secret(self, name: str, *, help: str) -> str:
        """A value from `NAME`, or from the file that `NAME_FILE` names, as orchestrators mount secrets."""
        self._declare(name, "text", "", help, secret=True)
        return self._value(name, secret=True)

    def flag(self, name: str, default: bool, *, help: str) -> bool:
        def parse(text: str) -> bool:
            lowered = text.lower()
            if lowered in _TRUE:
                return True
            if lowered in _FALSE:
                return False
            raise ValueError("use true or false")

        return self.parse_value(name, parse, default, kind="true or false", help=help)

    def integer(self, name: str, default: int, *, minimum: int = 0, help: str) -> int:
        def parse(text: str) -> int:
            value = int(text)
            if value < minimum:
                raise ValueError(f"the least is {minimum}")
            return value

        return self.parse_value(name, parse, default, kind=f"number from {minimum}", help=help)

    def choice(self, name: str, default: str, choices: tuple[str, ...], *, help: str) -> str:
        def parse(text: str) -> str:
            if text not in choices:
                raise ValueError(f"use {' or '.join(choices)}")
            return text

        return self.parse_value(name, parse, default, kind=" or ".join(choices), help=help)

    def words(self, name: str, default: list[str], *, secret: bool = False, help: str) -> list[str]:
        """A comma-separated list; empty entries are dropped."""

        def parse(text: str) -> list[str]:
            return [word.strip() for word in text.split(",") if word.strip()]

        return self.parse_value(
            name, parse, default, kind="list with commas", secret=secret, help=help
        )

    def url(self, name: str, default: str = "", *, secret: bool = False, help: str) -> str:
        """An http(s) address without a trailing slash, or empty."""

        def parse(text: str) -> str:
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError("it must start with http:// or https://")
            return text.rstrip("/")

        return self.parse_value(name, parse, default, kind="address", secret=secret, help=help)

    def database(self, name: str, default: str, *, help: str) -> dict[str, Any]:
        self._declare(name, "postgres:// address", default, help, secret=True)
        config = environ.Env.db_url_config(self._value(name, secret=True) or default)
        if config.get("ENGINE") != "django.db.backends.postgresql":
            raise ImproperlyConfigured(
                f"{name} cannot be read: it must be a postgres:// address; "
                "the product's truth lives in PostgreSQL and nothing else."
            )
        # libpq's own form of a Unix socket: its folder, percent-encoded, in the host's place.
        return {**config, "HOST": unquote(config.get("HOST") or "")}

    def mail_server(self, name: str, *, help: str) -> dict[str, Any]:
        """Django's EMAIL_… settings of an SMTP address; empty if none is set."""

        def parse(text: str) -> dict[str, Any]:
            parts = urlsplit(text)
            if parts.scheme not in MAIL_PORTS or not parts.hostname:
                raise ValueError(
                    f"it must start with {'://, '.join(MAIL_PORTS)}:// and name a host"
                )
            if parts.password and parts.scheme == "smtp":
                raise ValueError("a password takes smtp+tls:// or smtp+ssl://")
            found = environ.Env.email_url_config(text)
            return {
                "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "EMAIL_HOST": found["EMAIL_HOST"],
                "EMAIL_PORT": parts.port or MAIL_PORTS[parts.scheme],
                "EMAIL_HOST_USER": found["EMAIL_HOST_USER"] or "",
                "EMAIL_HOST_PASSWORD": found["EMAIL_HOST_PASSWORD"] or "",
                "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
                "EMAIL_USE_SSL": parts.scheme == "smtp+ssl",
            }

        return self.parse_value(name, parse, {}, kind="SMTP address", secret=True, help=help)

    def parse_value(
        self,
        name: str,
        parse: Callable[[str], T],
        default: T,
        *,
        kind: str,
        secret: bool = False,
        help: str,
    ) -> T:
        self._declare(name, kind, format_default(default), help, secret=secret)
        text = self._value(name, secret=secret).strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} cannot be read: {error}.") from error

    def _declare(self, name: str, kind: str, default: str, help: str, *, secret: bool) -> None:
        self.declared[name] = Variable(name, self._section, kind, default, help, secret)

    def _value(self, name: str, *, secret: bool) -> str:
        path = self._values.get(f"{name}_FILE", "") if secret else ""
        if not path:
            return self._values.get(name, "")
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error.strerror}.") from error


def format_default(default: object) -> str:
    """A default in the notation of the environment."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ",".join(str(item) for item in default)
    if isinstance(default, dict):
        return json.dumps(default) if default else ""
    return str(default)
