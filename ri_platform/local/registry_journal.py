"""The journal of the local registry: a line for each change of a repository, with all that is in it.

A blob has a line of its own, since its manifest comes later: what was answered for outlives a `kill -9`, and
a build that was under way finds its layers.

ministack saves its state as one document, whose size grows with the number of repositories. Here a change
costs what its own repository costs. At the start, the lines are put into the document, which ministack then
reads as ever; a line that says what the document has already changes nothing, so a crash in between does no
harm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from ministack.core import persistence
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import ecr

SERVICE = "ecr"
# ministack's stores by their names in its document (`ecr.get_state`).
STORES: dict[str, AccountRegionScopedDict] = {
    "repositories": ecr._repositories,
    "images": ecr._images,
    "lifecycle_policies": ecr._lifecycle_policies,
    "repo_policies": ecr._repo_policies,
    "layer_blobs": ecr._layer_blobs,
    "manifest_blobs": ecr._manifest_blobs,
}
READS = ("Get", "Describe", "List", "BatchGet", "BatchCheck")

Headers = Mapping[str, str]
Query = dict[str, list[str]]
Answer = tuple[int, dict[str, str], bytes]


class Journal:
    """Appends what a repository is now. A line is complete once its newline is there."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def record(self, repository: str) -> None:
        key = (get_account_id(), get_region(), repository)
        now = {name: store._data[key] for name, store in STORES.items() if key in store._data}
        self._append({"key": key, "stores": now})

    def record_blob(self, repository: str, digest: str) -> None:
        key = (get_account_id(), get_region(), repository)
        blob = ecr._layer_blobs._data[key][digest]
        self._append({"key": key, "blobs": {digest: blob}})

    def _append(self, change: dict[str, Any]) -> None:
        line = json.dumps(change, default=persistence._json_default)
        # One write of a whole line: whoever is killed leaves it, or a piece without its end.
        self._file.write(f"{line}\n")
        self._file.flush()


def compact(path: Path) -> None:
    """Put a journal's lines into ministack's document, and remove it."""
    if not path.exists():
        return
    found = persistence.load_state(SERVICE) or {}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        # Killed while it wrote: nobody was told that this was kept.
        if not line.endswith("\n"):
            break
        change = json.loads(line, object_hook=persistence._json_object_hook)
        key = tuple(change["key"])
        if "blobs" in change:
            blobs = found.setdefault("layer_blobs", AccountRegionScopedDict())
            blobs._data.setdefault(key, {}).update(change["blobs"])
            continue
        for name in STORES:
            store = found.setdefault(name, AccountRegionScopedDict())
            if name in change["stores"]:
                store._data[key] = change["stores"][name]
            else:
                store._data.pop(key, None)
    persistence.save_state(SERVICE, found)
    path.unlink()


def keep_journal(path: Path) -> None:
    """Wrap ministack's handlers of ECR: what a request changed is in the journal before it is answered."""
    compact(path)
    journal = Journal(path)
    control_plane, data_plane = ecr.handle_request, ecr.handle_registry_request

    async def control(
        method: str, path: str, headers: Headers, body: bytes, query: Query
    ) -> Answer:
        answer: Answer = await control_plane(method, path, headers, body, query)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if answer[0] < 300 and not action.startswith(READS):
            for repository in repositories_of(json.loads(body)):
                journal.record(repository)
        return answer

    async def data(method: str, path: str, headers: Headers, body: bytes, query: Query) -> Answer:
        answer: Answer = await data_plane(method, path, headers, body, query)
        verb, repository, _ = ecr._parse_v2_path(path) or ("", "", "")
        # Created: a manifest, or a blob that was uploaded or mounted. An upload's parts are not lasting.
        if answer[0] == HTTPStatus.CREATED:
            if verb == "manifest":
                journal.record(repository)
            else:
                journal.record_blob(repository, answer[1]["Docker-Content-Digest"])
        return answer

    ecr.handle_request, ecr.handle_registry_request = control, data


def repositories_of(asked: Mapping[str, Any]) -> list[str]:
    """The repositories that a request of ECR's API names: by name, or tags of one by its ARN."""
    arn = str(asked.get("resourceArn", ""))
    named = asked.get("repositoryName") or arn.partition(":repository/")[2]
    return [str(named)] if named else []
