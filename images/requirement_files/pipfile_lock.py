"""Reader of Pipfile.lock, which is JSON with hashes and without file names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import json_values
from images.requirement_files.locks import LockDraft, holds, locked_file
from images.requirement_files.positions import line_of
from images.requirement_files.values import LockedPackage, SuppliedFile
from images.requirement_files.wants import note_wanted_python, table, texts


def read_pipfile_lock(draft: Draft, file: SuppliedFile) -> None:
    """Write a Pipfile.lock's `default` section into the draft, and the chosen others."""
    sections = json_values(file.text)
    if not isinstance(sections, dict):
        raise ValueError("It is no Pipfile.lock; make it again with pipenv lock.")
    meta = table(sections, "_meta")
    others = [name for name in sections if name not in ("_meta", "default")]
    draft.offer(groups=others)
    requires = table(meta, "requires")
    python = requires.get("python_full_version") or requires.get("python_version")
    if isinstance(python, str):
        note_wanted_python(draft, file, f"=={'.'.join(python.split('.')[:2])}.*")
    addresses = {
        str(source.get("name")): str(source.get("url", ""))
        for source in meta.get("sources") or ()
        if isinstance(source, dict)
    }
    made = LockDraft(draft, file)
    for section in ("default", *(name for name in others if name in draft.rules.groups)):
        for name in table(sections, section):
            take_entry(made, name, table(table(sections, section), name), addresses)
    made.finish()


def take_entry(
    made: LockDraft, name: str, entry: Mapping[str, Any], addresses: Mapping[str, str]
) -> None:
    line = line_of(made.file.text, name)
    version = str(entry.get("version", "")).removeprefix("==")
    if not holds(made.draft, entry.get("markers")):
        reason = f"Its marker does not hold for the image: {entry['markers']}."
        made.draft.leave_out(Place(made.file.name, line), name, reason)
        return
    if not version:
        message = f"{name} does not come from an index; release it to one and lock again."
        made.draft.refuse(Place(made.file.name, line), name, message)
        return
    files = [locked_file("", "", digest) for digest in texts(entry, "hashes")]
    package = LockedPackage(
        name=name,
        version=version,
        line=line,
        files=tuple(found for found in files if found),
        index_url=addresses.get(str(entry.get("index")), ""),
    )
    made.take(package, extras=texts(entry, "extras"))
