"""Image references as people write them, parsed. Pure text: nothing is asked of a registry."""

from __future__ import annotations

import re
from dataclasses import dataclass

from images.errors import RegistryError


@dataclass(frozen=True)
class Reference:
    """A parsed image reference: the registry's URL, the repository, and a tag or digest."""

    registry: str
    repository: str
    reference: str


def parse_reference(text: str) -> Reference:
    """`python:3.11-slim`, `host:5000/a/b:tag`, `host/a@sha256:…`, with Docker Hub's defaults.

    The rule for what is a host is Docker's: the first part holds a dot or a colon, or is `localhost`.
    Raises `RegistryError` for what is no reference.
    """
    name, at, digest = text.strip().partition("@")
    host, slash, rest = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", name
    repository, colon, tag = rest.partition(":")
    reference = digest if at else (tag if colon else "latest")
    if host == "docker.io":
        host = "registry-1.docker.io"
        if "/" not in repository:
            repository = f"library/{repository}"
    good = re.fullmatch(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*", repository) and re.fullmatch(
        r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?", host
    )
    if not good or not re.fullmatch(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}", reference
    ):
        raise RegistryError(
            f"{text!r} is not an image reference.", hint="Write it like host/repository:tag."
        )
    local = host.partition(":")[0] in ("localhost", "127.0.0.1")
    return Reference(f"{'http' if local else 'https'}://{host}", repository, reference)
