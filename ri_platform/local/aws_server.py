"""The local AWS: ministack with IAM on control and data plane, and a registry that keeps its blobs as files.

ministack itself writes its state only when it ends, as one JSON document for each service, with a copy of a
blob for every repository that holds it. Here a blob is a file named by its hash, written once, and a change
of a repository is a line of a journal (`ri_platform.local.registry_journal`). The small rest is saved with
each change, so neither a restart nor a `kill -9` loses an image. The supervisor runs this module as a child
process, configured by ministack's environment variables.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ministack import app as ministack
from ministack.core import persistence

from ri_platform.local.put_quota import keep_quota
from ri_platform.local.registry_access import enforce_on_registry
from ri_platform.local.registry_completeness import refuse_incomplete
from ri_platform.local.registry_journal import SERVICE, keep_journal

# A shorter value costs less inside the JSON document than a file would.
FILE_FROM_BYTES = 4096

Scope = dict[str, Any]
Channel = Callable[..., Awaitable[Any]]


class BlobFiles:
    """Bytes by sha256 in a folder; each is read and written once per process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._loaded: dict[str, bytes] = {}
        # Hashing a base image at every save would be slow; bytes objects do not change.
        self._names: dict[int, tuple[bytes, str]] = {}

    def put(self, data: bytes) -> str:
        known = self._names.get(id(data))
        if known is not None and known[0] is data:
            return known[1]
        name = hashlib.sha256(data).hexdigest()
        self._names[id(data)] = (data, name)
        path = self._folder / name
        if not path.exists():
            partial = path.with_suffix(".part")
            partial.write_bytes(data)
            partial.replace(path)
        return name

    def get(self, name: str) -> bytes:
        """Repositories that share a blob share the one object in memory, too."""
        if name not in self._loaded:
            data = (self._folder / name).read_bytes()
            self._loaded[name] = data
            self._names[id(data)] = (data, name)
        return self._loaded[name]


def keep_blobs_as_files(folder: Path) -> None:
    """Teach ministack's persistence to write big values as files instead of base64."""
    blobs = BlobFiles(folder)
    to_json, from_json = persistence._json_default, persistence._json_object_hook

    def encode(value: Any) -> Any:
        if isinstance(value, bytes) and len(value) >= FILE_FROM_BYTES:
            return {"__blob_file__": blobs.put(value)}
        return to_json(value)

    def decode(value: dict[str, Any]) -> Any:
        if "__blob_file__" in value:
            return blobs.get(value["__blob_file__"])
        return from_json(value)

    persistence._json_default = encode
    persistence._json_object_hook = decode


def save_before_answer(inner: Channel) -> Channel:
    """An ASGI application that has saved what a request changed before it answers; ECR has its journal."""

    async def application(scope: Scope, receive: Channel, send: Channel) -> None:
        lasting = scope["type"] == "http" and scope["method"] in ("POST", "PUT", "DELETE")
        if not lasting or is_of_registry(scope):
            await inner(scope, receive, send)
            return
        answer: list[Any] = []

        async def hold(message: Any) -> None:
            answer.append(message)

        await inner(scope, receive, hold)
        services = ministack._build_persistence_save_dict()
        services.pop(SERVICE, None)
        persistence.save_all(services)
        for message in answer:
            await send(message)

    return application


def is_of_registry(scope: Scope) -> bool:
    """Whether a request is of ECR: of its API, or of the registry."""
    path, target = str(scope["path"]), dict(scope["headers"]).get(b"x-amz-target", b"")
    return path.startswith("/v2/") or bool(target.startswith(b"AmazonEC2ContainerRegistry"))


def main() -> None:
    state = Path(os.environ["STATE_DIR"])
    keep_blobs_as_files(state / "blobs")
    refuse_incomplete()
    enforce_on_registry(state)
    keep_journal(state / "registry-journal.jsonl")
    keep_quota()
    ministack.app = save_before_answer(ministack.app)
    ministack.main()


if __name__ == "__main__":
    main()
