"""`read`, which turns the texts of requirement files into requirements."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from images.requirement_files.draft import Draft, Place
from images.requirement_files.formats import GENERATED, LOCKS, Format, format_of, readers
from images.requirement_files.limits import MAX_FILES, MAX_REQUIREMENTS, refuse_oversized
from images.requirement_files.merging import apply_constraints, merge_requirements
from images.requirement_files.target import MACHINES, Target
from images.requirement_files.values import (
    Lock,
    LockedFile,
    LockedPackage,
    Reading,
    Rules,
    SuppliedFile,
)

# Markers are decided by it where neither the caller nor a file says a Python.
DEFAULT_PYTHON = "3.11"
_PYTHON = re.compile(r"3\.\d{1,2}")


def read(
    files: Sequence[SuppliedFile],
    *,
    python_version: str | None = None,
    machine: str = "x86_64",
    groups: Collection[str] = (),
    extras: Collection[str] = (),
    indexes: Mapping[str, str] | None = None,
    allowed_urls: Collection[str] = (),
) -> Reading:
    """Read files into requirements, with what became of each line.

    `python_version` is the image's, as `3.11`; None takes the files' own. `indexes` are the operator's, name
    to address. Nothing is raised about the files: what cannot be taken is in `refused`.
    """
    if python_version is not None and not _PYTHON.fullmatch(python_version):
        raise ValueError(f"{python_version!r} is not a Python version like 3.11.")
    if machine not in MACHINES:
        raise ValueError(f"{machine!r} is none of {', '.join(MACHINES)}.")
    rules = Rules(
        indexes=dict(indexes or {}),
        allowed_urls=tuple(allowed_urls),
        groups=frozenset(groups),
        extras=frozenset(extras),
    )
    draft = draft_files(files, Target(python_version or DEFAULT_PYTHON, machine), rules)
    said = single_python(draft)
    if python_version is None and said and said != DEFAULT_PYTHON:
        # The file chose the Python, so its markers are decided by that.
        draft = draft_files(files, Target(said, machine), rules)
    return finish_reading(draft)


def draft_files(files: Sequence[SuppliedFile], target: Target, rules: Rules) -> Draft:
    draft = Draft(target, rules, {file.name: strip_byte_order_mark(file) for file in files})
    if len(files) > MAX_FILES or len(draft.files) < len(files):
        message = f"At most {MAX_FILES} files are read at once, each of another name."
        draft.refuse(Place("", 0), "", message)
        return draft
    kinds = kinds_of(draft)
    locked = [name for name, kind in kinds.items() if kind in LOCKS]
    if len(locked) > 1:
        message = f"{' and '.join(locked)} are locks both; give one of them."
        draft.refuse(Place(locked[1], 0), "", message)
        return draft
    for name in reading_order(draft, kinds):
        if (name, False) in draft.included or (name, True) in draft.included:
            continue
        if locked and kinds[name] not in LOCKS:
            draft.leave_out(Place(name, 0), name, f"{locked[0]} locks all that is installed.")
            continue
        read_file(draft, draft.files[name], kinds[name])
    return draft


def kinds_of(draft: Draft) -> dict[str, Format]:
    """The kinds of files that are within bounds; the others are refused here."""
    kinds: dict[str, Format] = {}
    for name, file in draft.files.items():
        try:
            refuse_oversized(name, file.text, generated=True)
            kind = format_of(file)
            refuse_oversized(name, file.text, generated=kind in GENERATED)
        except ValueError as error:
            draft.refuse(Place(name, 0), "", str(error))
        else:
            kinds[name] = kind
    draft.files = {name: draft.files[name] for name in kinds}
    return kinds


def strip_byte_order_mark(file: SuppliedFile) -> SuppliedFile:
    """The file without a byte order mark, which editors write and pip drops."""
    return SuppliedFile(file.name, file.text.removeprefix("\ufeff"))


def reading_order(draft: Draft, kinds: Mapping[str, Format]) -> list[str]:
    """Files that others may include come last, so that they are read once."""
    named = [name for name, kind in kinds.items() if kind is Format.REQUIREMENTS]
    other = [name for name in kinds if name not in named]
    includes = {
        name: bool(
            re.search(r"^[ \t]*-(?:r|c|-requirement|-constraint)\b", draft.files[name].text, re.M)
        )
        for name in named
    }
    return [*other, *sorted(named, key=lambda name: not includes[name])]


def read_file(draft: Draft, file: SuppliedFile, kind: Format) -> None:
    try:
        readers()[kind](draft, file)
    except ValueError as error:
        draft.refuse(Place(file.name, 0), "", str(error))
    except RecursionError:
        message = "It is nested too deeply; give the file as its tool wrote it."
        draft.refuse(Place(file.name, 0), "", message)


def single_python(draft: Draft) -> str | None:
    return next(iter(draft.python_versions)) if len(draft.python_versions) == 1 else None


def finish_reading(draft: Draft) -> Reading:
    """What the draft came to, merged and checked as a whole."""
    # Beside others it is one of several, from which libraries come by the operator's order.
    if draft.only_index and draft.indexes == [draft.only_index]:
        draft.requirements = [
            replace(found, index=found.index or draft.only_index) for found in draft.requirements
        ]
    merge_requirements(draft)
    apply_constraints(draft)
    refuse_missing_hashes(draft)
    refuse_unknown_choices(draft)
    if len(draft.requirements) > MAX_REQUIREMENTS:
        message = f"At most {MAX_REQUIREMENTS:,} libraries are taken; give fewer."
        draft.refuse(Place("", 0), "", message)
    if len(draft.python_versions) > 1:
        draft.hint(f"The files name several Pythons: {', '.join(draft.python_versions)}.")
    return Reading(
        requirements=tuple(draft.requirements),
        constraints=tuple(draft.constraints),
        left_out=tuple(draft.left_out),
        refused=tuple(draft.refused),
        hints=tuple(draft.hints),
        python_version=single_python(draft),
        lock=draft.locks[0] if draft.locks else lock_of_hashes(draft),
        groups=tuple(draft.groups),
        extras=tuple(draft.extras),
        indexes=tuple(draft.indexes),
        prereleases=draft.prereleases,
    )


def refuse_missing_hashes(draft: Draft) -> None:
    """With `--require-hashes`, pip takes nothing that has none."""
    if not draft.require_hashes:
        return
    for found in draft.requirements:
        if not found.hashes:
            message = f"{found.name} has no hash, and --require-hashes asks for one; add it."
            draft.refuse(Place(found.file, found.line), str(found), message)


def refuse_unknown_choices(draft: Draft) -> None:
    choices = (
        ("group", draft.rules.groups, draft.groups),
        ("extra", draft.rules.extras, draft.extras),
    )
    for kind, chosen, offered in choices:
        known = {canonicalize_name(name) for name in (*draft.groups, *draft.extras)}
        for name in sorted(chosen):
            if canonicalize_name(name) not in known:
                there = (
                    f"there are {', '.join(offered)}" if offered else f"there is no {kind} at all"
                )
                draft.refuse(Place("", 0), name, f"No file has the {kind} {name}; {there}.")


def lock_of_hashes(draft: Draft) -> Lock | None:
    """The lock that a requirements.txt is when each library has one version and hashes."""
    wanted = draft.requirements
    if not wanted or draft.refused or draft.constraints:
        return None
    pinned = re.compile(r"==[^,*=]+")
    if not all(found.hashes and pinned.fullmatch(found.specifier) for found in wanted):
        return None
    packages = [
        LockedPackage(
            name=found.name,
            version=found.specifier.removeprefix("=="),
            line=found.line,
            files=tuple(
                LockedFile(text.removeprefix("sha256:"))
                for text in found.hashes
                if text.startswith("sha256:")
            ),
            index_url=draft.rules.indexes.get(found.index, ""),
        )
        for found in wanted
    ]
    return Lock(wanted[0].file, tuple(packages)) if all(item.files for item in packages) else None
