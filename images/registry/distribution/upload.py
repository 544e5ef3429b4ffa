"""Uploading a blob in parts (distribution-spec, "Pushing a blob in chunks").

Sources: OCI distribution-spec 1.1; for the size and the number of parts ECR's user guide.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from images.errors import RegistryError
from images.registry.distribution.sources import Source
from images.registry.distribution.transport import Transport

# What is sent between two checks: even a slow way takes so much in seconds.
PIECE = 1 << 16
# ECR takes parts of 5 to 10 MiB (the last may be smaller), and so many of them for a layer.
CHUNK = 10 << 20
MAX_PARTS = 4_200


@dataclass(frozen=True)
class Upload:
    """A blob on its way into a repository; `path` is the repository's under `/v2/`.

    `check` is asked before each attempt, in waits and before each piece, and may raise.
    """

    transport: Transport
    path: str
    scope: str
    source: Source
    chunk_size: int
    check: Callable[[], None]

    def refuse_too_large(self, size: int) -> None:
        limit = self.chunk_size * MAX_PARTS
        if size > limit:
            raise RegistryError(
                f"A layer of {size:,} bytes is more than the registry takes, {limit:,}.",
                hint="Ask for less, or for smaller versions, of the largest library.",
            )

    def attempt(self) -> None:
        """Open an upload, send every part and close it with the digest."""
        self.check()
        with self.source.open(self.check) as file:
            self._send(file)

    def _send(self, file: IO[bytes]) -> None:
        response = self.transport.request(
            "POST", f"{self.path}/blobs/uploads/", scope=self.scope, settle=True, check=self.check
        )
        location = response.headers["Location"]
        offset = 0
        while length := self.source.part(offset, self.chunk_size, self.check):
            self.refuse_too_large(offset + length)
            # A part is never blindly repeated: the registry may have taken it before it failed.
            response = self.transport.request(
                "PATCH",
                location,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"{offset}-{offset + length - 1}",
                    "Content-Length": str(length),
                },
                body=pieces_of(file.fileno(), offset, length, self.check),
                scope=self.scope,
                retry=False,
                settle=True,
                check=self.check,
            )
            location = response.headers.get("Location", location)
            offset += length
        self.transport.request(
            "PUT",
            location,
            params={"digest": self.source.digest},
            headers={"Content-Length": "0"},
            scope=self.scope,
            retry=False,
            settle=True,
            check=self.check,
        )


def pieces_of(
    descriptor: int, offset: int, length: int, check: Callable[[], None]
) -> Callable[[], Iterator[bytes]]:
    """A body of `length` bytes of an open file, read in pieces, that can be sent more than once."""

    def pieces() -> Iterator[bytes]:
        position, end = offset, offset + length
        while position < end:
            check()
            piece = os.pread(descriptor, min(PIECE, end - position), position)
            if not piece:
                raise RegistryError("A layer file became shorter while it was uploaded.")
            position += len(piece)
            yield piece

    return pieces
