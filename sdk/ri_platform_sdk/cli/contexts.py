"""The instances that the command line is signed in to, in a file that its owner alone can read.

The file is `ri-images/contexts.json` under `XDG_CONFIG_HOME` (XDG Base Directory Specification), or under
`~/.config` where that is not set. It holds API access tokens, so it has mode 600 and its folder mode 700.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.transport import base_url


@dataclass(frozen=True)
class Context:
    """An instance, and the token with which it is asked."""

    name: str
    domain: str
    token: str = field(repr=False)
    user_name: str = ""


@dataclass
class Contexts:
    """All contexts by name; `current` is the name of the one that is used unless another is asked for."""

    path: Path
    current: str = ""
    found: dict[str, Context] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Contexts:
        """Read the file; where there is none, no contexts. Raises `InvalidRequest` if it is damaged."""
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return cls(path)
        except (OSError, UnicodeError) as error:
            raise InvalidRequest(f"{path} cannot be read: {error}.") from error
        try:
            kept: dict[str, Any] = json.loads(text)
            contexts = {
                name: Context(name, str(item["domain"]), str(item["token"]), str(item["user_name"]))
                for name, item in kept["contexts"].items()
            }
            return cls(path, str(kept["current"]), contexts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidRequest(
                f"{path} is not a file of contexts. Remove it and sign in again with `ri-images login`."
            ) from error

    def save(self) -> None:
        """Replace the file in one step, readable by its owner alone from the first byte on."""
        content = {
            "current": self.current,
            "contexts": {
                name: {key: value for key, value in asdict(context).items() if key != "name"}
                for name, context in sorted(self.found.items())
            },
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # mkstemp creates with mode 600.
            descriptor, written = tempfile.mkstemp(dir=self.path.parent, prefix=".contexts-")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=2) + "\n")
            os.replace(written, self.path)
        except OSError as error:
            raise InvalidRequest(f"{self.path} cannot be written: {error}.") from error

    def is_open_to_others(self) -> bool:
        """Whether somebody else on this machine may read the file."""
        try:
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            return False
        return os.name == "posix" and bool(mode & (stat.S_IRWXG | stat.S_IRWXO))

    def named(self, name: str) -> Context:
        """Raises `InvalidRequest` if there is no such context."""
        if name not in self.found:
            known = ", ".join(sorted(self.found)) or "none yet; `ri-images login` makes one"
            raise InvalidRequest(f"There is no context {name}. There are: {known}.")
        return self.found[name]

    def of_domain(self, domain: str) -> Context | None:
        """The context for an instance, the current one first."""
        ordered = sorted(self.found.values(), key=lambda item: item.name != self.current)
        return next((item for item in ordered if item.domain == domain), None)

    def put(self, context: Context) -> None:
        """Add or replace a context, and make it the current one."""
        self.found[context.name] = context
        self.current = context.name

    def remove(self, name: str) -> Context:
        """Raises `InvalidRequest` if there is no such context."""
        context = self.named(name)
        del self.found[name]
        if self.current == name:
            self.current = ""
        return context


def contexts_path(environment: Mapping[str, str]) -> Path:
    # The specification says that a relative path is to be ignored.
    home = environment.get("XDG_CONFIG_HOME", "")
    folder = Path(home) if os.path.isabs(home) else Path.home() / ".config"
    return folder / "ri-images" / "contexts.json"


def origin_of(text: str) -> str:
    """An instance's address from what people paste: its scheme and host, without path or query.

    Raises `InvalidRequest` for what is no address.
    """
    try:
        parts = urlsplit(base_url(text.strip()))
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise InvalidRequest(f"{text!r} is not an address: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest(f"{text!r} is not an address, such as https://images.example.org.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def sends_in_clear(domain: str) -> bool:
    """Whether a token would travel unencrypted to another machine."""
    parts = urlsplit(domain)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")
