"""Reader of poetry.lock and pdm.lock: a list of packages with groups and markers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from packaging.utils import canonicalize_name
from poetry.core.constraints.version import parse_constraint

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import toml_tables
from images.requirement_files.locks import LockDraft, holds, locked_files, packages_of
from images.requirement_files.positions import line_of
from images.requirement_files.values import LockedPackage, SuppliedFile
from images.requirement_files.wants import note_wanted_python, table, texts


def read_poetry_lock(draft: Draft, file: SuppliedFile) -> None:
    """Write a poetry.lock's packages into the draft."""
    tables = toml_tables(file.text)
    packages = packages_of(tables)
    extras = {
        extra: names_of(texts(table(tables, "extras"), extra)) for extra in table(tables, "extras")
    }
    draft.offer(
        groups=sorted({group for entry in packages for group in groups_of(entry)} - {"main"}),
        extras=list(extras),
    )
    python = str(table(tables, "metadata").get("python-versions", ""))
    refuse_other_python(draft, file, python)
    made = LockDraft(draft, file)
    chosen = set().union(*(extras.get(extra, set()) for extra in draft.rules.extras))
    needed = needed_packages(draft, packages, chosen)
    for entry in packages:
        take_entry(draft, made, entry, ("main", *draft.rules.groups), needed)
    made.finish()


def names_of(requirements: list[str]) -> set[str]:
    """`pkg (>=1)` and `pkg` are how poetry lists an extra's libraries."""
    return {
        canonicalize_name(text.replace("[", " ").split()[0])
        for text in requirements
        if text.strip()
    }


def groups_of(entry: Mapping[str, Any]) -> list[str]:
    """An entry's groups: of poetry 2 by that name, of poetry 1 a category, or all is main."""
    groups = entry.get("groups") or [entry.get("category", "main")]
    return [str(group) for group in groups] if isinstance(groups, list) else ["main"]


def refuse_other_python(draft: Draft, file: SuppliedFile, constraint: str) -> None:
    if not constraint:
        return
    target = draft.target
    try:
        ours = parse_constraint(f"~{target.full_version}")
        if parse_constraint(constraint).allows_any(ours):
            return
    except ValueError as error:
        raise ValueError(
            f"python-versions is none: {constraint[:100]}; make the lock again."
        ) from error
    place = Place(file.name, line_of(file.text, constraint))
    message = (
        f"It is for Python {constraint}, and the image has {target.python_version}; "
        "choose another Python."
    )
    draft.refuse(place, constraint, message)


def needed_packages(
    draft: Draft, packages: list[dict[str, Any]], chosen: set[str]
) -> set[str] | None:
    """Names that something needs on the image, of a lock without markers (poetry 1); else None.

    What nothing else needs is what the project itself asks for.
    """
    if any("groups" in entry for entry in packages):
        return None
    needs: dict[str, list[str]] = {
        canonicalize_name(entry["name"]): edges(draft, entry) for entry in packages
    }
    anywhere = {
        canonicalize_name(name) for entry in packages for name in table(entry, "dependencies")
    }
    optional = {canonicalize_name(entry["name"]) for entry in packages if entry.get("optional")}
    waiting: list[str] = [name for name in needs if name not in anywhere and name not in optional]
    waiting += sorted(chosen)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return found


def edges(draft: Draft, entry: Mapping[str, Any]) -> list[str]:
    """The libraries that an entry needs on the image, whichever extras it is asked for with."""
    found: list[str] = []
    for name, details in table(entry, "dependencies").items():
        choices = details if isinstance(details, list) else [details]
        markers = [
            choice.get("markers") if isinstance(choice, dict) else None for choice in choices
        ]
        if any(holds(draft, marker) for marker in markers):
            found.append(canonicalize_name(name))
    return found


def take_entry(
    draft: Draft,
    made: LockDraft,
    entry: Mapping[str, Any],
    groups: Collection[str],
    needed: set[str] | None,
) -> None:
    name, version = str(entry["name"]), str(entry.get("version", ""))
    inside = [group for group in groups_of(entry) if group in groups]
    marker = entry.get("markers")
    extras = draft.rules.extras
    if not inside:
        made.leave_out(name, version, f"It is for {', '.join(groups_of(entry))} alone.")
    elif isinstance(marker, dict) and not any(
        holds(draft, marker.get(group), extras) for group in inside
    ):
        made.leave_out(name, version, "Its markers do not hold for the image.")
    elif not isinstance(marker, dict) and not holds(draft, marker, extras):
        made.leave_out(name, version, f"Its marker does not hold for the image: {marker}.")
    elif needed is not None and canonicalize_name(name) not in needed:
        made.leave_out(name, version, "Nothing that is installed needs it.")
    elif table(entry, "source").get("type") not in (None, "legacy"):
        made.refuse_source(name, version)
    else:
        python = str(entry.get("python-versions", "*"))
        refuse_other_python_of(draft, made, name, version, python)
        made.take(
            LockedPackage(
                name=name,
                version=version,
                line=made.line(name, version),
                files=locked_files(entry.get("files")),
                index_url=str(table(entry, "source").get("url", "")),
            )
        )


def refuse_other_python_of(
    draft: Draft, made: LockDraft, name: str, version: str, python: str
) -> None:
    ours = parse_constraint(f"~{draft.target.full_version}")
    if not parse_constraint(python).allows_any(ours):
        message = (
            f"{name}=={version} is for Python {python}, and the image has "
            f"{draft.target.python_version}; choose another Python or lock for it."
        )
        draft.refuse(Place(made.file.name, made.line(name, version)), name, message)


def read_pdm_lock(draft: Draft, file: SuppliedFile) -> None:
    """Write a pdm.lock's packages into the draft; its groups are extras and development groups alike."""
    tables = toml_tables(file.text)
    packages, metadata = packages_of(tables), table(tables, "metadata")
    draft.offer(groups=[group for group in texts(metadata, "groups") if group != "default"])
    for target in metadata.get("targets") or ():
        if isinstance(target, dict) and len(metadata["targets"]) == 1:
            note_wanted_python(draft, file, target.get("requires_python"))
    groups = {"default", *draft.rules.groups, *draft.rules.extras}
    made = LockDraft(draft, file)
    for entry in packages:
        name, version = str(entry["name"]), str(entry.get("version", ""))
        inside = texts(entry, "groups") or ["default"]
        if not groups & set(inside):
            made.leave_out(name, version, f"It is for {', '.join(inside)} alone.")
        elif not holds(draft, entry.get("marker")):
            made.leave_out(
                name, version, f"Its marker does not hold for the image: {entry['marker']}."
            )
        elif {"git", "hg", "svn", "path", "url"} & set(entry):
            made.refuse_source(name, version)
        else:
            files = locked_files(entry.get("files"))
            package = LockedPackage(name, version, made.line(name, version), files)
            made.take(package, extras=texts(entry, "extras"))
    made.finish()
